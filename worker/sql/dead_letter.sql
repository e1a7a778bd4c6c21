-- The newest dead letter that waits for an operator; with %(code)s, of that code.
SELECT job_id, kind, code, error
FROM onelane.ledger
WHERE status = 'dead' AND (%(code)s::text IS NULL OR code = %(code)s)
ORDER BY finished_at DESC, job_id DESC
LIMIT 1
