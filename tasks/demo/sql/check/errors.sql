-- What a bot was told as an error; dead letters that nobody planted; and poison that did not end as it must.
WITH ends AS (
    SELECT lane, code FROM onelane.ledger WHERE status IN ('dead', 'replaying')
)
SELECT conflict, kind || ' ' || number, code FROM demo.told WHERE answer = 'error'
UNION ALL
SELECT 'dead', lane, code FROM (SELECT * FROM ends EXCEPT ALL SELECT lane, code FROM demo.poison) AS unexpected
UNION ALL
SELECT 'poison', lane, 'did not end as ' || code
FROM (SELECT lane, code FROM demo.poison EXCEPT ALL SELECT * FROM ends) AS vanished
