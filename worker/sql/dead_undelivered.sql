-- The jobs that wait in the outbox to be put back into their lanes.
SELECT key FROM onelane.outbox WHERE topic = 'replay'
