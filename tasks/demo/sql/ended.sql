-- How many of the bots' jobs have ended.
SELECT count(*) FROM onelane.ledger WHERE job_id LIKE 'intent-%'
