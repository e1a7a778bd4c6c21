-- One relay at a time, so that the jobs of a lane are delivered in the order of their rows.
SELECT pg_advisory_xact_lock(hashtext('onelane.outbox'))
