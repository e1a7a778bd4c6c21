-- What became of jobs, for those who wait for an answer, in the order of their ends.
INSERT INTO onelane.outbox (topic, key, kind, payload, actor, cause, reply_to)
SELECT 'reply', id || ':' || %(token)s::bigint, kind,
    jsonb_build_object('status', status, 'code', code, 'text', message), actor, id, reply_to
FROM ROWS FROM (
    json_to_recordset(%(rows)s::json)
        AS (id text, kind text, status text, code text, message text, actor text, reply_to text)
) WITH ORDINALITY AS r
ORDER BY ordinality
