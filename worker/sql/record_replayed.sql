-- Replayed dead letters have ended again: their ledger rows tell of the new end, and keep the original bytes and the count
-- of replays.
UPDATE onelane.ledger AS l SET
    seq = r.seq, status = r.status, code = r.code, message = r.message, before = r.before::json, after = r.after::json,
    attempts = r.attempts, worker = %(worker)s, token = %(token)s, finished_at = clock_timestamp(),
    error_class = r.error_class, sqlstate = r.sqlstate, error = r.error, traceback = r.traceback,
    first_attempt_at = to_timestamp(r.first_attempt / 1000000.0)
FROM json_to_recordset(%(rows)s::json) AS r (
    id text, seq bigint, status text, code text, message text, before text, after text, attempts integer,
    error_class text, sqlstate text, error text, traceback text, first_attempt bigint)
WHERE l.job_id = r.id AND l.status = 'replaying'
