-- Dead letters are given up; their bytes stay. What they had died of, and when, is in the acts. Returns which they were.
WITH discarded AS (
    UPDATE onelane.ledger AS l SET status = 'discarded', finished_at = clock_timestamp()
    FROM (SELECT job_id, finished_at FROM onelane.ledger WHERE job_id = ANY (%(ids)s::text[])) AS was
    WHERE l.job_id = was.job_id AND l.status = 'dead'
    RETURNING l.job_id, l.seq, l.code, l.error_class, l.sqlstate, l.error, was.finished_at AS died_at
), logged AS (
    INSERT INTO onelane.acts (actor, act, job_id, reason, details)
    SELECT %(actor)s, 'discard', job_id, %(reason)s, jsonb_strip_nulls(jsonb_build_object(
        'code', code, 'error_class', error_class, 'sqlstate', sqlstate, 'error', error, 'died_at', died_at))
    FROM discarded ORDER BY seq, job_id
)
SELECT job_id FROM discarded ORDER BY seq, job_id
