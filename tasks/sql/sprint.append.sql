-- A sprint comes after the last. All writes of sprints share one lane, so nobody else can take its index meanwhile.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, sprint_name text, start_date date, end_date date)
), placed AS MATERIALIZED (
    SELECT j.*, twin.row AS twin,
        coalesce(twin.sprint_index, (SELECT max(sprint_index) + 1 FROM public.sprints), 0) AS sprint_index
    FROM jobs AS j
    LEFT JOIN LATERAL (
        SELECT s.sprint_index, to_jsonb(s) AS row FROM public.sprints AS s
        WHERE s.sprint_name = j.sprint_name AND s.start_date = j.start_date AND s.end_date = j.end_date
        ORDER BY s.sprint_index LIMIT 1
    ) AS twin ON true
)
SELECT _n, CASE WHEN changed = 0 THEN 'unchanged' ELSE 'applied' END,
    CASE WHEN changed = 0 THEN 'already_there' ELSE 'appended' END,
    p.twin, coalesce(s.after -> 0, p.twin),
    jsonb_build_object('sprint_index', p.sprint_index,
        'warning', triage.overlap_warning(p.sprint_index, p.start_date, p.end_date))
FROM placed AS p
CROSS JOIN LATERAL triage.save_sprints(
    _job, _actor, _reason, jsonb_build_array(to_jsonb(p)), %(context)s::jsonb -> 'copies') AS s
