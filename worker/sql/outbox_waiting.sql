-- Whether anything waits to be delivered, our own uncommitted rows included.
SELECT EXISTS (SELECT FROM onelane.outbox)
