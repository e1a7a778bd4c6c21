-- One process in all tells of an outage of Redis; the lock ends with its session.
SELECT pg_try_advisory_lock(hashtext('onelane.redis_outage:' || %(prefix)s))
