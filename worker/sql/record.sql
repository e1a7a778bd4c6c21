-- One ledger row for each job of the batch that has ended; the ledger's key refuses a job that it knows. A lane's fence
-- remembers its newest job that took effect or found nothing to change. Returns whether the outbox holds anything.
WITH ended AS (
    INSERT INTO onelane.ledger (
        job_id, kind, lane, seq, actor, reason, digest, status, code, message, before, after, attempts, worker, token,
        enqueued_at, body, error_class, sqlstate, error, traceback, first_attempt_at)
    SELECT id, kind, lane, seq, actor, reason, digest, status, code, message, before::json, after::json, attempts,
        %(worker)s, %(token)s, to_timestamp(at / 1000000.0), decode(body, 'base64'), error_class, sqlstate, error,
        traceback, to_timestamp(first_attempt / 1000000.0)
    FROM json_to_recordset(%(rows)s::json) AS r (
        id text, kind text, lane text, seq bigint, actor text, reason text, digest text, status text, code text,
        message text, before text, after text, attempts integer, at bigint, body text, error_class text, sqlstate text,
        error text, traceback text, first_attempt bigint)
), newest AS (
    UPDATE onelane.fences AS f SET seq = n.seq, job_id = n.job_id
    FROM json_to_recordset(%(newest)s::json) AS n (lane text, seq bigint, job_id text)
    WHERE f.lane = n.lane AND f.seq < n.seq
)
SELECT EXISTS (SELECT FROM onelane.outbox)
