-- What else there is of a job's lane: older dead letters, and the row as the newest job that took effect has left it.
SELECT
    (SELECT count(*) FROM onelane.ledger AS o WHERE o.status = 'dead' AND o.lane = l.lane AND o.seq < l.seq) AS older,
    (SELECT after FROM onelane.ledger AS n JOIN onelane.fences AS f USING (job_id) WHERE f.lane = l.lane) AS row_now
FROM onelane.ledger AS l
WHERE job_id = %(id)s
