-- The lanes of these jobs.
SELECT DISTINCT lane FROM onelane.ledger WHERE job_id = ANY (%(ids)s::text[])
