-- Jobs without an end, ends that were told otherwise, changes that a job claims and the witness did not see, and what was
-- left in the outbox and did not arrive.
SELECT t.conflict, t.job_id, 'has no end in the ledger'
FROM demo.told AS t LEFT JOIN onelane.ledger AS l USING (job_id)
WHERE l.job_id IS NULL
UNION ALL
SELECT t.conflict, t.job_id, 'was told ' || t.code || ', and the ledger says ' || l.code
FROM demo.told AS t JOIN onelane.ledger AS l USING (job_id)
WHERE t.code <> l.code
    OR t.answer <> CASE l.status WHEN 'applied' THEN 'done' WHEN 'unchanged' THEN 'done' WHEN 'rejected' THEN 'no' ELSE 'error' END
UNION ALL
SELECT 'claim', lane, 'a change that the ledger claims was never made'
FROM (SELECT lane, old, new FROM demo.claims EXCEPT ALL SELECT lane, old, new FROM demo.changes) AS claimed
UNION ALL
SELECT 'outbox', o.key, 'the follow-up has no end in the ledger'
FROM demo.outboxed AS o LEFT JOIN onelane.ledger AS l ON l.job_id = o.key
WHERE o.topic = 'job' AND l.job_id IS NULL
UNION ALL
SELECT 'outbox', o.key, 'the effect did not reach the bot'
FROM demo.outboxed AS o WHERE o.topic = 'effect' AND NOT EXISTS (SELECT FROM demo.received AS r WHERE r.key = o.key)
