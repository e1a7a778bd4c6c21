-- These rows have reached Redis.
DELETE FROM onelane.outbox WHERE id = ANY (%(ids)s::bigint[])
