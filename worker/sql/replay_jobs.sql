-- Those of these jobs that are on their way back to their lanes, with their bytes; lane by lane, lowest number first.
SELECT job_id, lane, digest, seq, body
FROM onelane.ledger
WHERE job_id = ANY (%(ids)s::text[]) AND status = 'replaying'
ORDER BY lane, seq, job_id
