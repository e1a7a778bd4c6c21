-- All rows of a person become active, or inactive. Whoever is on duty stays so until the rotation changes; the admins are told.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, slack_id text, active boolean)
), done AS MATERIALIZED (
    SELECT j.*, s.before, s.after, s.changed, rows.name, duty.titles
    FROM jobs AS j
    CROSS JOIN LATERAL (
        SELECT max(u.name) AS name, jsonb_agg(jsonb_build_object(
            'discipline', u.discipline, 'name', u.name, 'active', j.active)) AS wanted
        FROM public.users AS u WHERE u.slack_id = j.slack_id
    ) AS rows
    CROSS JOIN LATERAL triage.save_user(
        _job, _actor, _reason, j.slack_id, coalesce(wanted, '[]'), %(context)s::jsonb -> 'copies') AS s
    LEFT JOIN LATERAL (
        SELECT triage.titles_of(j.slack_id, triage.roles_in(c)) AS titles FROM public.current_state AS c WHERE c.id = 1
    ) AS duty ON s.changed AND NOT j.active
), told AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'effect', 'admins', jsonb_build_object('text', format(
        '<@%%s> was deactivated and is still on triage duty as %%s.', slack_id, titles)), _actor, _job
    FROM done WHERE titles IS NOT NULL
)
SELECT _n,
    CASE WHEN before IS NULL THEN 'rejected' WHEN changed THEN 'applied' ELSE 'unchanged' END,
    CASE
        WHEN before IS NULL THEN 'unknown_user'
        WHEN NOT changed THEN 'already_so'
        WHEN active THEN 'activated'
        ELSE 'deactivated'
    END,
    before, after,
    jsonb_build_object('name', name, 'now', CASE WHEN active THEN 'active' ELSE 'inactive' END, 'still_on_duty',
        coalesce(' They are still on triage duty as ' || titles || ' until that is changed.', ''))
FROM done
