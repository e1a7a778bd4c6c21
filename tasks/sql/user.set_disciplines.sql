-- A person is in exactly these disciplines, under this name, active.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, slack_id text, name text, disciplines jsonb)
)
SELECT _n, CASE WHEN changed THEN 'applied' ELSE 'unchanged' END, CASE WHEN changed THEN 'set' ELSE 'already_so' END,
    before, after, jsonb_build_object('role_titles', wanted.titles)
FROM jobs AS j
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('discipline', r.role, 'name', j.name, 'active', true)) AS rows,
        string_agg(r.title, ', ' ORDER BY r.place) AS titles
    FROM triage.roles() AS r WHERE j.disciplines ? r.role
) AS wanted
CROSS JOIN LATERAL triage.save_user(
    _job, _actor, _reason, j.slack_id, wanted.rows, %(context)s::jsonb -> 'copies') AS s
