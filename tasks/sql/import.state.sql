-- Who is on duty, the sprint of the calendar, and whether anybody has ever set the state by hand.
SELECT state.sprint_index, triage.roles_in(state), triage.current_sprint(clock_timestamp(), %(time_zone)s),
    NOT coalesce((
        SELECT bool_and(coalesce(reason, '') = ANY (%(computed)s::text[])) FROM public.audit_logs
        WHERE table_name = 'current_state'
    ), false)
FROM (VALUES (1)) AS one (id) LEFT JOIN public.current_state AS state USING (id)
