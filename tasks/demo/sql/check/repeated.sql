-- Changes that no job's end accounts for: an effect that was applied again. And effects that the bot received twice, or that
-- come from no commit.
SELECT 'change', lane, 'a change of which the ledger knows nothing'
FROM (SELECT lane, old, new FROM demo.changes EXCEPT ALL SELECT lane, old, new FROM demo.claims) AS unclaimed
UNION ALL
SELECT 'effect', key, 'the bot received it ' || count(*) || ' times'
FROM demo.received GROUP BY key HAVING count(*) > 1
UNION ALL
SELECT 'effect', r.key, 'the bot received it, and no commit has it'
FROM demo.received AS r WHERE NOT EXISTS (SELECT FROM demo.outboxed AS o WHERE o.topic = 'effect' AND o.key = r.key)
