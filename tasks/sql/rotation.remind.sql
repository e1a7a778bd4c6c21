-- On the last day of the current sprint, at 17:00, both the people on duty and those who come next are reminded, once.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, _job text, _actor text, date date)
), evening AS MATERIALIZED (
    SELECT j.*, ending.sprint_index, ending.sprint_name, coming.sprint_index AS next_index, coming.sprint_name AS next_name
    FROM jobs AS j
    LEFT JOIN public.sprints AS ending ON ending.end_date = j.date AND ending.sprint_index = triage.current_sprint(
        (j.date + time '17:00') AT TIME ZONE (%(context)s::jsonb ->> 'time_zone'), %(context)s::jsonb ->> 'time_zone')
    LEFT JOIN LATERAL (
        SELECT s.sprint_index, s.sprint_name FROM public.sprints AS s
        WHERE s.sprint_index > ending.sprint_index ORDER BY s.sprint_index LIMIT 1
    ) AS coming ON true
), reminded AS (
    INSERT INTO triage.reminders (day, sprint_index, job_id)
    SELECT date, sprint_index, _job FROM evening WHERE next_index IS NOT NULL
    ON CONFLICT (day, sprint_index) DO NOTHING
    RETURNING day, sprint_index
), done AS MATERIALIZED (
    SELECT e.*, r.day IS NOT NULL AS is_first,
        -- What is stored for the sprint counts, as long as anybody is; admins may have chosen.
        CASE WHEN state.sprint_index = e.sprint_index AND triage.people(triage.roles_in(state)) <> '[]'
            THEN triage.roles_in(state)
            ELSE triage.on_duty(e.sprint_index, %(context)s::jsonb -> 'fallback') END AS roles,
        triage.on_duty(e.next_index, %(context)s::jsonb -> 'fallback') AS next_roles
    FROM evening AS e
    LEFT JOIN reminded AS r ON r.day = e.date
    LEFT JOIN public.current_state AS state ON state.id = 1
), told AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'effect', 'dm', jsonb_build_object('to', person.slack_id, 'text', concat_ws(' ',
        'Your triage duty as ' || triage.titles_of(person.slack_id, roles) || ' in ' || sprint_name || ' ends today.',
        'Your triage duty as ' || triage.titles_of(person.slack_id, next_roles) || ' in ' || next_name || ' begins next.')),
        _actor, _job
    FROM done CROSS JOIN LATERAL (
        SELECT value AS slack_id, min(place) AS place
        FROM jsonb_array_elements_text(triage.people(roles) || triage.people(next_roles)) WITH ORDINALITY AS p (value, place)
        GROUP BY value
    ) AS person
    WHERE is_first ORDER BY person.place
)
SELECT _n, CASE WHEN is_first THEN 'applied' ELSE 'unchanged' END,
    CASE WHEN is_first THEN 'reminded' WHEN next_index IS NULL THEN 'nothing_ends' ELSE 'already_reminded' END,
    NULL::jsonb, NULL::jsonb, jsonb_build_object('sprint', sprint_name, 'next', next_name)
FROM done
