-- The oldest rows after `after`.
SELECT id, topic, key, kind, payload, actor, reason, cause, reply_to, created_at
FROM onelane.outbox
WHERE id > %(after)s
ORDER BY id
LIMIT %(limit)s
