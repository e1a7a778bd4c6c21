-- A job that waits in the outbox, for a worker to put it onto its lane.
SELECT topic, kind, payload, actor, reason, cause, created_at
FROM onelane.outbox
WHERE key = %(id)s AND topic IN ('job', 'replay')
ORDER BY id
LIMIT 1
