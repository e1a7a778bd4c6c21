-- A person gets a badge, once.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _actor text, _reason text, slack_id text, badge text)
), saved AS (
    INSERT INTO demo.badges AS b (slack_id, badge) SELECT slack_id, badge FROM jobs
    ON CONFLICT (slack_id, badge) DO NOTHING
    RETURNING b.slack_id, b.badge, b.id, to_jsonb(b) AS row
), audited AS (
    INSERT INTO public.audit_logs (table_name, record_id, operation, new_values, changed_by, changed_at, reason)
    SELECT 'badges', id, 'INSERT', row, _actor, clock_timestamp(), _reason
    FROM saved JOIN jobs USING (slack_id, badge) ORDER BY _n
)
SELECT _n, CASE WHEN row IS NULL THEN 'unchanged' ELSE 'applied' END,
    CASE WHEN row IS NULL THEN 'has_it' ELSE 'granted' END, NULL::jsonb, row, NULL::jsonb
FROM jobs LEFT JOIN saved USING (slack_id, badge)
