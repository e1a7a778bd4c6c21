-- The oldest rows after `after`; a dead letter on its way back brings its original bytes from the ledger.
SELECT o.id, o.topic, o.key, o.kind, o.payload, o.actor, o.reason, o.cause, o.created_at, l.lane, l.digest, l.seq, l.body
FROM onelane.outbox AS o
LEFT JOIN onelane.ledger AS l ON o.topic = 'replay' AND l.job_id = o.key AND l.status = 'replaying'
WHERE o.id > %(after)s
ORDER BY o.id
LIMIT %(limit)s
