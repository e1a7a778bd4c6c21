-- All rows of a person get this name. It changes the order of the lists, so who is on duty in later sprints.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, slack_id text, name text)
)
SELECT _n,
    CASE WHEN before IS NULL THEN 'rejected' WHEN changed THEN 'applied' ELSE 'unchanged' END,
    CASE WHEN before IS NULL THEN 'unknown_user' WHEN changed THEN 'renamed' ELSE 'already_so' END,
    before, after, NULL::jsonb
FROM jobs AS j
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('discipline', u.discipline, 'name', j.name, 'active', u.active)) AS wanted
    FROM public.users AS u WHERE u.slack_id = j.slack_id
) AS rows
CROSS JOIN LATERAL triage.save_user(
    _job, _actor, _reason, j.slack_id, coalesce(wanted, '[]'), %(context)s::jsonb -> 'copies') AS s
