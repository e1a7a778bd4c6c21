-- Lane by lane: a bot's jobs have their numbers in the order in which it enqueued them; the changes came in the order of
-- the numbers; the audit tells of them in the order in which they came.
WITH enqueued AS (
    SELECT l.lane, t.bot, t.number, l.seq, max(l.seq) OVER (
        PARTITION BY l.lane, t.bot ORDER BY t.number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
    FROM demo.told AS t JOIN onelane.ledger AS l USING (job_id)
), applied AS (
    SELECT c.lane, c.seq, w.n, max(w.n) OVER (
        PARTITION BY c.lane ORDER BY c.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
    FROM demo.claims AS c
    JOIN demo.changes AS w
        ON w.lane = c.lane AND coalesce(w.old, 'null') = coalesce(c.old, 'null') AND coalesce(w.new, 'null') = coalesce(c.new, 'null')
), audited AS (
    SELECT w.lane, w.n, a.id, max(a.id) OVER (
        PARTITION BY w.lane ORDER BY w.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
    FROM demo.changes AS w
    JOIN public.audit_logs AS a
        ON a.table_name = w.table_name AND a.record_id = w.record_id AND a.operation = w.operation
        AND coalesce(a.old_values, 'null') = coalesce(w.old, 'null') AND coalesce(a.new_values, 'null') = coalesce(w.new, 'null')
)
SELECT 'enqueue', lane, 'bot ' || bot || ' enqueued intent ' || number || ' behind a later one' FROM enqueued WHERE seq < highest
UNION ALL
SELECT 'effect', lane, 'job ' || seq || ' took effect before an earlier one' FROM applied WHERE n < highest
UNION ALL
SELECT 'audit', lane, 'audit row ' || id || ' stands before that of an earlier change' FROM audited WHERE id < highest
