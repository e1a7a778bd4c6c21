-- Which of these jobs have ended at an earlier import, and how.
SELECT job_id, status, message FROM onelane.ledger WHERE job_id = ANY (%(ids)s::text[])
