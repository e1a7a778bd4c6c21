-- A line about each of these jobs, in the order of a replay.
SELECT job_id, finished_at, kind, lane, actor, status, code, error_class, sqlstate, error, attempts, replays
FROM onelane.ledger
WHERE job_id = ANY (%(ids)s::text[])
ORDER BY seq, job_id
