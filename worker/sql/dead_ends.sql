-- Which of these jobs are not on their way back, and what they are.
SELECT job_id, status FROM onelane.ledger WHERE job_id = ANY (%(ids)s::text[]) AND status <> 'replaying'
