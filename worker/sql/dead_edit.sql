-- A dead letter gets other bytes; those that it came with are kept, however often it is edited.
WITH edited AS (
    UPDATE onelane.ledger
    SET body = %(body)s, original = coalesce(original, body), kind = %(kind)s, digest = %(digest)s, actor = %(by)s
    WHERE job_id = %(id)s AND status = 'dead'
    RETURNING job_id
)
INSERT INTO onelane.acts (actor, act, job_id, reason, details)
SELECT %(actor)s, 'edit', job_id, %(reason)s, %(details)s::jsonb FROM edited
