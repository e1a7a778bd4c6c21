-- How the jobs ended; how many of those that took effect had to be tried again; and the speed, from the first enqueue of
-- a bot to the last end of its jobs and their follow-ups.
SELECT count(*) AS enqueued,
    count(*) FILTER (WHERE status = 'applied') AS applied,
    count(*) FILTER (WHERE status = 'unchanged') AS unchanged,
    count(*) FILTER (WHERE status = 'rejected') AS rejected,
    count(*) FILTER (WHERE status IN ('dead', 'replaying')) AS dead,
    count(*) FILTER (WHERE replays > 0) AS replayed,
    count(*) FILTER (WHERE is_work AND attempts > 1) AS retried,
    count(*) FILTER (WHERE is_work) / extract(epoch FROM
        max(finished_at) FILTER (WHERE is_work) - min(enqueued_at) FILTER (WHERE is_work))::float AS per_second
FROM (
    SELECT *, job_id IN (SELECT t.job_id FROM demo.told AS t UNION ALL SELECT o.key FROM demo.outboxed AS o) AS is_work
    FROM onelane.ledger
) AS l
