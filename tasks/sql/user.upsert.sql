-- A person is in a discipline, under this name, active unless said otherwise (null: as the row was, new rows active).
-- It folds: of several jobs for one row each sees what the one before left, and has its own outcome and audit row; the
-- row itself is written once, as the last of them leaves it.
WITH jobs AS MATERIALIZED (
    -- `told` is what the latest job that says anything says about activity, up to each job.
    SELECT *, (max(2 * _n + active::integer) OVER chain) %% 2 = 1 AS told, min(_n) OVER chain AS first_n,
        lead(_n) OVER chain IS NULL AS is_last
    FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, slack_id text, name text, discipline text, active boolean)
    WINDOW chain AS (PARTITION BY slack_id, discipline ORDER BY _n)
), old AS MATERIALIZED (
    -- Row by row, by the person: where nobody has analyzed the table yet, all plans look equally good, and one that
    -- joins, or goes by the index of disciplines (which `=` would allow), reads thousands of rows for each job.
    SELECT found.*
    FROM jobs AS j CROSS JOIN LATERAL (
        SELECT u.slack_id, u.discipline, u.name, u.active, to_jsonb(u) AS row
        FROM public.users AS u WHERE u.slack_id = j.slack_id AND u.discipline IS NOT DISTINCT FROM j.discipline
        FOR UPDATE) AS found
    WHERE j.is_last
), met AS (
    -- What each job meets and what it wants.
    SELECT j._n, j._job, j._actor, j._reason, j.slack_id, j.discipline, j.name, j.first_n, j.is_last, old.row,
        coalesce(j.told, old.active, true) AS active,
        coalesce(lag(j.name) OVER chain, old.name) AS met_name,
        coalesce(lag(j.told) OVER chain, old.active, true) AS met_active
    FROM jobs AS j LEFT JOIN old USING (slack_id, discipline)
    WINDOW chain AS (PARTITION BY slack_id, discipline ORDER BY _n)
), judged AS MATERIALIZED (
    SELECT *, CASE
        WHEN met_name IS NULL THEN 'added'
        WHEN active AND NOT met_active THEN 'reactivated'
        WHEN name <> met_name OR active <> met_active THEN 'updated'
    END AS change
    FROM met
), saved AS (
    INSERT INTO public.users AS u (slack_id, name, discipline, active)
    SELECT slack_id, name, discipline, active
    FROM judged
    WHERE is_last AND (slack_id, discipline) IN (SELECT slack_id, discipline FROM judged WHERE change IS NOT NULL)
    ORDER BY first_n
    ON CONFLICT (slack_id, discipline) DO UPDATE SET name = excluded.name, active = excluded.active
    RETURNING u.id, u.slack_id, u.discipline, to_jsonb(u) AS row
), left_behind AS (
    -- Up to the first change the row is as it was; from there on as it was saved, but for what later jobs changed.
    SELECT j.*, s.id, CASE WHEN count(change) OVER chain > 0
        THEN s.row || jsonb_build_object('name', j.name, 'active', j.active) ELSE j.row END AS after
    FROM judged AS j LEFT JOIN saved AS s USING (slack_id, discipline)
    WINDOW chain AS (PARTITION BY slack_id, discipline ORDER BY _n)
), done AS MATERIALIZED (
    SELECT *, coalesce(lag(after) OVER chain, row) AS before
    FROM left_behind
    WINDOW chain AS (PARTITION BY slack_id, discipline ORDER BY _n)
), audited AS (
    INSERT INTO public.audit_logs (
        table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
    SELECT 'users', id, CASE WHEN before IS NULL THEN 'INSERT' ELSE 'UPDATE' END, before, after, _actor,
        clock_timestamp(), _reason
    FROM done WHERE change IS NOT NULL ORDER BY _n
), copied AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'job', c.kind, c.payload, 'onelane', (SELECT min(_job) FROM done WHERE change IS NOT NULL)
    FROM jsonb_to_recordset(%(context)s::jsonb #> '{copies,users}') AS c (kind text, payload jsonb)
    WHERE EXISTS (SELECT FROM done WHERE change IS NOT NULL)
)
SELECT _n, CASE WHEN change IS NULL THEN 'unchanged' ELSE 'applied' END, coalesce(change, 'already_so'), before, after,
    jsonb_build_object('role_title', r.title)
FROM done LEFT JOIN triage.roles() AS r ON r.role = discipline
