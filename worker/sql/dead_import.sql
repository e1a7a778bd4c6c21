-- Dead letters from elsewhere; an id that the ledger knows already is left as it is. Returns the ids that are new.
WITH added AS (
    INSERT INTO onelane.ledger (
        job_id, kind, lane, seq, actor, reason, digest, status, code, message, attempts, worker, token, enqueued_at,
        first_attempt_at, finished_at, error_class, sqlstate, error, traceback, replays, body, original)
    SELECT id, kind, lane, seq, actor, reason, digest, 'dead', code, message, attempts, worker, token, enqueued_at,
        first_attempt_at, finished_at, error_class, sqlstate, error, traceback, replays, decode(body, 'base64'),
        decode(original, 'base64')
    FROM json_to_recordset(%(rows)s::json) AS r (
        id text, kind text, lane text, seq bigint, actor text, reason text, digest text, code text, message text,
        attempts integer, worker text, token bigint, enqueued_at timestamptz, first_attempt_at timestamptz,
        finished_at timestamptz, error_class text, sqlstate text, error text, traceback text, replays integer, body text,
        original text)
    ON CONFLICT (job_id) DO NOTHING
    RETURNING job_id
), logged AS (
    INSERT INTO onelane.acts (actor, act, job_id, reason) SELECT %(actor)s, 'import', job_id, %(reason)s FROM added
)
SELECT job_id FROM added
