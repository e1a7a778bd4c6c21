-- Which of these jobs have ended already, and how; dead letters on their way back (`replaying`) are among them.
SELECT job_id, digest, status, code, message, before, after, forced
FROM onelane.ledger
WHERE job_id = ANY (ARRAY (SELECT json_array_elements_text(%(ids)s::json)))
