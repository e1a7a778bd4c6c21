-- What going back would take out of the engine's reach. The rollback keeps it under another name, but an engine that is
-- made anew does not know these jobs: it would apply one that comes again a second time.
SELECT count(*) || ' job(s) in the ledger' FROM onelane.ledger HAVING count(*) > 0
UNION ALL
SELECT count(*) || ' undelivered row(s) in the outbox' FROM onelane.outbox HAVING count(*) > 0
