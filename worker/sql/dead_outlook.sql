-- What decides whether these jobs can be replayed: what they are, and the newest job of their lane that took effect.
SELECT l.job_id, l.kind, l.lane, l.seq, l.status, l.code, l.finished_at, l.replays,
    l.original IS NOT NULL AS edited, f.seq AS newest_seq, n.job_id AS newest_id, n.kind AS newest_kind, n.actor AS newest_actor,
    n.status AS newest_status, n.finished_at AS newest_at
FROM onelane.ledger AS l
LEFT JOIN onelane.fences AS f ON f.lane = l.lane
LEFT JOIN onelane.ledger AS n ON n.job_id = f.job_id
WHERE l.job_id = ANY (ARRAY (SELECT json_array_elements_text(%(ids)s::json)))
ORDER BY l.seq, l.job_id
