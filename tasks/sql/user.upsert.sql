-- A person is in a discipline, under this name, active unless said otherwise (null: as the row was, new rows active).
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, slack_id text, name text, discipline text, active boolean)
), before AS MATERIALIZED (
    SELECT j._n, to_jsonb(u) AS row
    FROM jobs AS j JOIN public.users AS u USING (slack_id, discipline)
    FOR UPDATE OF u
), saved AS (
    INSERT INTO public.users AS u (slack_id, name, discipline, active)
    SELECT slack_id, name, discipline, coalesce(j.active, (b.row ->> 'active')::boolean, true)
    FROM jobs AS j LEFT JOIN before AS b USING (_n)
    ON CONFLICT (slack_id, discipline) DO UPDATE SET name = excluded.name, active = excluded.active
    WHERE u.name <> excluded.name OR u.active <> excluded.active
    RETURNING u.id, u.slack_id, u.discipline, to_jsonb(u) AS row
), done AS (
    SELECT j._n, j._job, j._actor, j._reason, s.id, b.row AS before, coalesce(s.row, b.row) AS after,
        s.id IS NOT NULL AS changed,
        CASE
            WHEN s.id IS NULL THEN 'already_so'
            WHEN b.row IS NULL THEN 'added'
            WHEN (b.row ->> 'active')::boolean < (s.row ->> 'active')::boolean THEN 'reactivated'
            ELSE 'updated'
        END AS code
    FROM jobs AS j LEFT JOIN saved AS s USING (slack_id, discipline) LEFT JOIN before AS b USING (_n)
), audited AS (
    INSERT INTO public.audit_logs (
        table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
    SELECT 'users', id, CASE WHEN before IS NULL THEN 'INSERT' ELSE 'UPDATE' END, before, after, _actor,
        clock_timestamp(), _reason
    FROM done WHERE changed ORDER BY _n
), copied AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'job', c.kind, c.payload, 'onelane', min(_job)
    FROM done, jsonb_to_recordset(%(context)s::jsonb #> '{copies,users}') AS c (kind text, payload jsonb)
    WHERE changed GROUP BY c.kind, c.payload
)
SELECT _n, CASE WHEN changed THEN 'applied' ELSE 'unchanged' END, code, before, after,
    jsonb_build_object('role_title', triage.title(after ->> 'discipline'))
FROM done
