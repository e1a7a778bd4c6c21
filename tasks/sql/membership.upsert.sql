-- Whether somebody is in the admin channel, as of a moment: an older look never replaces a newer one.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, slack_id text, is_member boolean, checked_at timestamptz)
), before AS MATERIALIZED (
    SELECT j._n, m.checked_at AS known_at, to_jsonb(m) AS row
    FROM jobs AS j JOIN public.admin_channel_membership AS m USING (slack_id)
    FOR UPDATE OF m
), saved AS (
    INSERT INTO public.admin_channel_membership AS m (slack_id, is_member, checked_at, updated_at)
    SELECT slack_id, is_member, checked_at AT TIME ZONE 'UTC', clock_timestamp() AT TIME ZONE 'UTC'
    FROM jobs LEFT JOIN before USING (_n)
    WHERE known_at IS NULL OR known_at < checked_at AT TIME ZONE 'UTC'
    ON CONFLICT (slack_id) DO UPDATE SET
        is_member = excluded.is_member, checked_at = excluded.checked_at, updated_at = excluded.updated_at
        WHERE m.checked_at < excluded.checked_at
    RETURNING m.slack_id, to_jsonb(m) AS row
)
SELECT _n, CASE WHEN s.row IS NULL THEN 'unchanged' ELSE 'applied' END,
    CASE WHEN s.row IS NULL THEN 'not_newer' ELSE 'saved' END,
    b.row, coalesce(s.row, b.row),
    jsonb_build_object('is', CASE WHEN j.is_member THEN 'is' ELSE 'is not' END)
FROM jobs AS j LEFT JOIN before AS b USING (_n) LEFT JOIN saved AS s USING (slack_id)
