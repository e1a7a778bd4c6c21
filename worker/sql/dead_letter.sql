-- The newest dead letter that waits for an operator: one that died of a crash loop, or one that did not. With a number
-- as %(depth)s, only that many of the newest are looked at.
SELECT job_id, kind, code, error
FROM (
    SELECT job_id, kind, code, error, finished_at
    FROM onelane.ledger
    WHERE status = 'dead'
    ORDER BY finished_at DESC, job_id DESC
    LIMIT %(depth)s
) AS newest
WHERE (code = 'crash_loop') = %(looping)s
ORDER BY finished_at DESC, job_id DESC
LIMIT 1
