-- Something is wrong: told if it wasn't known yet, else counted.
-- KEYS: incidents incident_counts incidents_over alerts
-- ARGV: incident story count limit
-- Returns: begun | counted
-- `story` is JSON: what, since when, and the command that shows more. An incident that seemed over goes on, untold. A
-- repeated call counts twice and tells once. About `limit` alerts are kept.
local incidents, counts, over, alerts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local incident, story, count, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

redis.call('HDEL', over, incident)
redis.call('HINCRBY', counts, incident, count)
if redis.call('HSETNX', incidents, incident, story) == 0 then
  return 'counted'
end
redis.call('XADD', alerts, 'MAXLEN', '~', limit, '*', 'state', 'begun', 'story', story)
return 'begun'
