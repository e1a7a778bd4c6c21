-- How many of these jobs wait in the outbox to be put back into their lanes.
SELECT count(*) FROM onelane.outbox WHERE topic = 'replay' AND key = ANY (%(ids)s::text[])
