-- The state follows the calendar: when another sprint has begun, all roles are computed anew. Otherwise nothing changes.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, _job text, _actor text, _reason text)
), computed AS MATERIALIZED (
    SELECT j.*, state.sprint_index AS stored, to_jsonb(state) AS row, now.sprint_index,
        triage.on_duty(now.sprint_index, %(context)s::jsonb -> 'fallback') AS roles
    FROM jobs AS j
    CROSS JOIN triage.current_sprint(
        (%(context)s::jsonb ->> 'now')::timestamptz, %(context)s::jsonb ->> 'time_zone') AS now (sprint_index)
    LEFT JOIN public.current_state AS state ON state.id = 1
)
SELECT _n, CASE WHEN s.after IS NULL THEN 'unchanged' ELSE 'applied' END,
    CASE WHEN c.sprint_index IS NULL THEN 'no_current_sprint' WHEN s.after IS NULL THEN 'up_to_date' ELSE 'changed' END,
    c.row, coalesce(s.after, c.row),
    jsonb_build_object('sprint', triage.sprint_name(coalesce(c.sprint_index, c.stored)))
FROM computed AS c
LEFT JOIN LATERAL triage.save_state(
    _job, _actor, coalesce(_reason, 'Rotation refreshed'), c.sprint_index,
    CASE WHEN c.sprint_index IS NOT NULL AND c.sprint_index IS DISTINCT FROM c.stored THEN c.roles END,
    %(context)s::jsonb -> 'copies'
) AS s ON true
