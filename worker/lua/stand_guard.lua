-- One round of a sentinel: its worker lives; it takes or keeps the guard; on guard it tells what has stayed over.
-- include: clock
-- KEYS: workers guard ready held incidents incident_counts incidents_over alerts
-- ARGV: name alive_us guard_ms quiet_us limit
-- Returns: {on_guard, held, oldest_lane, oldest_age_us, newest_alert, {open incident, …}, {incident that seems over, …}}
-- `workers` is a zset: worker → until when it counts as alive. The age is 0 when no lane is ready.
local workers, guard, ready, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local incidents, counts, over, alerts = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local name, alive, guard_ms, quiet, limit = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5]
local now = now_us()

redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
redis.call('ZADD', workers, text(now + alive), name)

local holder = redis.call('GET', guard)
local on_guard = not holder or holder == name
if on_guard then
  redis.call('SET', guard, name, 'PX', guard_ms)
end

local ending = {}
local marks = redis.call('HGETALL', over)
for i = 1, #marks, 2 do
  local incident, since, said = marks[i], string.match(marks[i + 1], '^(%d+) (.*)$')
  if on_guard and since + quiet <= now then
    redis.call('XADD', alerts, 'MAXLEN', '~', limit, '*', 'state', 'over', 'text', said,
      'story', redis.call('HGET', incidents, incident), 'count', redis.call('HGET', counts, incident))
    redis.call('HDEL', incidents, incident)
    redis.call('HDEL', counts, incident)
    redis.call('HDEL', over, incident)
  else
    ending[#ending + 1] = incident
  end
end

local open = {}
for _, incident in ipairs(redis.call('HKEYS', incidents)) do
  if redis.call('HEXISTS', over, incident) == 0 then
    open[#open + 1] = incident
  end
end
local oldest = redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES')
local newest = redis.call('XREVRANGE', alerts, '+', '-', 'COUNT', 1)
return {
  on_guard and 1 or 0, redis.call('HLEN', held), oldest[1] or '',
  text(math.max(0, now - (tonumber(oldest[2]) or now))), newest[1] and newest[1][1] or '', open, ending,
}
