-- Those of these jobs that are on their way back to their lanes, with their bytes; lane by lane, lowest number first.
SELECT job_id, lane, digest, seq, body
FROM onelane.ledger
WHERE job_id = ANY (ARRAY (SELECT json_array_elements_text(%(ids)s::json))) AND status = 'replaying'
ORDER BY lane, seq, job_id
