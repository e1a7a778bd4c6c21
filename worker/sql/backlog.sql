-- What waits in the outbox, and how many dead letters wait for an operator.
SELECT (SELECT count(*) FROM onelane.outbox), (SELECT count(*) FROM onelane.ledger WHERE status = 'dead')
