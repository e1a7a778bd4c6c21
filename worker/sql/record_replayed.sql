-- Replayed dead letters have ended again: their ledger rows tell of the new end, and keep the original bytes and the count
-- of replays. They are looked up one by one: the index of all that are `replaying` looks empty to a planner with old
-- statistics, and each batch would read the whole of it.
WITH ended AS MATERIALIZED (
    SELECT *
    FROM json_to_recordset(%(rows)s::json) AS r (
        id text, seq bigint, status text, code text, message text, before text, after text, attempts integer,
        error_class text, sqlstate text, error text, traceback text, first_attempt bigint)
)
UPDATE onelane.ledger AS l SET
    seq = e.seq, status = e.status, code = e.code, message = e.message, before = e.before::json, after = e.after::json,
    attempts = e.attempts, worker = %(worker)s, token = %(token)s, finished_at = clock_timestamp(),
    error_class = e.error_class, sqlstate = e.sqlstate, error = e.error, traceback = e.traceback,
    first_attempt_at = to_timestamp(e.first_attempt / 1000000.0)
FROM ended AS e
WHERE l.job_id = e.id AND l.job_id = ANY (ARRAY (SELECT id FROM ended)) AND l.status = 'replaying'
