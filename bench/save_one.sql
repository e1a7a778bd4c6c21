-- The upsert and the audit of tasks/sql/user.upsert.sql, for one row.
WITH before AS MATERIALIZED (
    SELECT to_jsonb(u) AS row
    FROM public.users AS u
    WHERE slack_id = %(slack_id)s AND discipline = 'po'
    FOR UPDATE
), saved AS (
    INSERT INTO public.users AS u (slack_id, name, discipline, active)
    VALUES (%(slack_id)s, %(name)s, 'po', true)
    ON CONFLICT (slack_id, discipline) DO UPDATE SET name = excluded.name, active = excluded.active
    WHERE u.name <> excluded.name OR u.active <> excluded.active
    RETURNING u.id, to_jsonb(u) AS row
)
INSERT INTO public.audit_logs (table_name, record_id, operation, old_values, new_values, changed_by, changed_at)
SELECT 'users', s.id, CASE WHEN b.row IS NULL THEN 'INSERT' ELSE 'UPDATE' END, b.row, s.row, %(actor)s,
    clock_timestamp()
FROM saved AS s LEFT JOIN before AS b ON true
