-- What waits to be delivered to Redis, dead letters on their way back included.
SELECT (SELECT count(*) FROM onelane.outbox) + (SELECT count(*) FROM onelane.ledger WHERE status = 'replaying')
