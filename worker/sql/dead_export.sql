-- These jobs, each as one JSON object with all that is known of it, in the order of a replay. Bytes are base64, without
-- the line breaks that encode() puts in.
SELECT json_build_object(
    'id', job_id, 'kind', kind, 'lane', lane, 'seq', seq, 'actor', actor, 'reason', reason, 'digest', digest,
    'status', status, 'code', code, 'message', message, 'attempts', attempts, 'worker', worker, 'token', token,
    'enqueued_at', enqueued_at, 'first_attempt_at', first_attempt_at, 'finished_at', finished_at,
    'error_class', error_class, 'sqlstate', sqlstate, 'error', error, 'traceback', traceback, 'replays', replays,
    'body', translate(encode(body, 'base64'), E'\n', ''), 'original', translate(encode(original, 'base64'), E'\n', ''))::text
FROM onelane.ledger
WHERE job_id = ANY (%(ids)s::text[])
ORDER BY seq, job_id
