-- Some roles of the current sprint are computed anew, after an override was approved or removed. Other roles stay as they are.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, sprint_index integer, roles jsonb)
), computed AS MATERIALIZED (
    SELECT j.*, to_jsonb(state) AS row,
        j.sprint_index = now.sprint_index AND j.sprint_index = state.sprint_index AS is_current,
        (SELECT jsonb_object_agg(r.role, CASE WHEN j.roles ? r.role THEN duty -> r.role ELSE triage.roles_in(state) -> r.role END)
         FROM triage.roles() AS r) AS wanted
    FROM jobs AS j
    CROSS JOIN triage.current_sprint(
        (%(context)s::jsonb ->> 'now')::timestamptz, %(context)s::jsonb ->> 'time_zone') AS now (sprint_index)
    CROSS JOIN LATERAL triage.on_duty(j.sprint_index, %(context)s::jsonb -> 'fallback') AS duty
    LEFT JOIN public.current_state AS state ON state.id = 1
)
SELECT _n, CASE WHEN s.after IS NULL THEN 'unchanged' ELSE 'applied' END,
    CASE WHEN s.after IS NOT NULL THEN 'changed' WHEN c.is_current THEN 'up_to_date' ELSE 'stale' END,
    c.row, coalesce(s.after, c.row), jsonb_build_object('sprint', triage.sprint_name(c.sprint_index))
FROM computed AS c
LEFT JOIN LATERAL triage.save_state(
    _job, _actor, coalesce(_reason, 'Rotation recomputed'), c.sprint_index,
    CASE WHEN c.is_current THEN c.wanted END, %(context)s::jsonb -> 'copies'
) AS s ON true
