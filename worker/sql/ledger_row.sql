-- All that the ledger knows about one job, except the original bytes of a dead letter.
SELECT kind, lane, seq, status, code, message, actor, reason, attempts, before, after, worker, enqueued_at,
    first_attempt_at, finished_at, error_class, sqlstate, error, traceback, replays
FROM onelane.ledger
WHERE job_id = %(id)s
