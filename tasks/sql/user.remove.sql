-- A person is no longer in a discipline.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, slack_id text, discipline text)
)
SELECT _n, CASE WHEN changed THEN 'applied' ELSE 'unchanged' END, CASE WHEN changed THEN 'removed' ELSE 'missing' END,
    before, after, jsonb_build_object('role_title', triage.title(discipline))
FROM jobs AS j
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('discipline', u.discipline, 'name', u.name, 'active', u.active)) AS wanted
    FROM public.users AS u WHERE u.slack_id = j.slack_id AND u.discipline <> j.discipline
) AS rows
CROSS JOIN LATERAL triage.save_user(
    _job, _actor, _reason, j.slack_id, coalesce(wanted, '[]'), %(context)s::jsonb -> 'copies') AS s
