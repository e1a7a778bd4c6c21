-- Dead letters begin their way back, all of these or none. What they had died of is kept in the acts, since their rows are
-- written anew when they end again. They leave lane by lane, so that the relay has several of a lane at once. The
-- notification wakes a worker's timer at the commit.
WITH sent AS (
    UPDATE onelane.ledger SET status = 'replaying', forced = %(force)s, replays = replays + 1
    WHERE job_id = ANY (ARRAY (SELECT json_array_elements_text(%(ids)s::json))) AND status IN ('dead', 'replaying')
    RETURNING job_id, kind, lane, seq, code, error_class, sqlstate, error
), left_for_the_relay AS (
    INSERT INTO onelane.outbox (topic, key, kind, payload, actor, reason)
    SELECT 'replay', job_id, kind, '{}', %(actor)s, %(reason)s FROM sent ORDER BY lane, seq, job_id
), logged AS (
    INSERT INTO onelane.acts (actor, act, job_id, reason, details)
    SELECT %(actor)s, 'replay', job_id, %(reason)s, jsonb_strip_nulls(jsonb_build_object(
        'code', code, 'error_class', error_class, 'sqlstate', sqlstate, 'error', error,
        'forced', nullif(%(force)s, false)))
    FROM sent ORDER BY seq, job_id
)
SELECT pg_notify('onelane_outbox', '')
