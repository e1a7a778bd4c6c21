-- The sprint of an index has this name and these days.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text,
        sprint_index integer, sprint_name text, start_date date, end_date date)
)
SELECT _n,
    CASE WHEN changed = 0 THEN 'unchanged' ELSE 'applied' END,
    CASE WHEN changed = 0 THEN 'already_so' WHEN added = 0 THEN 'updated' ELSE 'added' END,
    coalesce(s.before, present.rows) -> 0, coalesce(s.after, present.rows) -> 0,
    jsonb_build_object('warning', triage.overlap_warning(j.sprint_index, j.start_date, j.end_date))
FROM jobs AS j
LEFT JOIN LATERAL (
    SELECT jsonb_build_array(to_jsonb(p)) AS rows FROM public.sprints AS p WHERE p.sprint_index = j.sprint_index
) AS present ON true
CROSS JOIN LATERAL triage.save_sprints(
    _job, _actor, _reason, jsonb_build_array(to_jsonb(j)), %(context)s::jsonb -> 'copies') AS s
