-- The newest token of lanes that were not ours: Redis' clock must not stay behind it.
SELECT max(token) FROM onelane.fences WHERE lane = ANY (%(lanes)s::text[])
