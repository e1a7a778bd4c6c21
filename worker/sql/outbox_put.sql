-- A job as part of somebody's own transaction: it is delivered after the commit, or never. The notification wakes a
-- worker's timer at the commit.
INSERT INTO onelane.outbox (topic, key, kind, payload, actor, reason, reply_to)
VALUES ('job', %(id)s, %(kind)s, %(payload)s::jsonb, %(actor)s, %(reason)s, %(reply_to)s)
RETURNING pg_notify('onelane_outbox', '')
