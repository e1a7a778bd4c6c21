-- Claim the lanes in PostgreSQL: the row lock serialises two workers on one lane, the comparison shuts out the older claim.
-- Equal tokens are one claim that goes on after a rollback. Returns the lanes that are ours, and the number of the newest
-- job that took effect in each.
INSERT INTO onelane.fences AS f (lane, token)
SELECT lane, %(token)s FROM unnest(%(lanes)s::text[]) AS claimed (lane) ORDER BY lane
ON CONFLICT (lane) DO UPDATE SET token = excluded.token WHERE f.token <= excluded.token
RETURNING lane, seq
