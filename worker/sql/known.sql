-- Which of these jobs have ended already, and how.
SELECT job_id, digest, status, code, message, before, after
FROM onelane.ledger
WHERE job_id = ANY (%(ids)s::text[]) AND status <> 'replaying'
