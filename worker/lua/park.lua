-- Give a claimed lane back with its head still in place: after a backoff, or at once when nothing was its fault.
-- include: clock line_up token
-- KEYS: ready claimed tokens attempts held clock lane
-- ARGV: name token delay_us attempts floor
-- Returns: parked | lost
-- `attempts` is the new value of the head's memory, or empty to leave it. `floor` is the least number that the clock may
-- have reached: a Redis that lost its data while its time went back would else give tokens that PostgreSQL refuses.
local ready, claimed, tokens, attempts, held, clock, list = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local lane, token, delay, memory, floor = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])

if tonumber(redis.call('GET', clock) or '0') < floor then
  redis.call('SET', clock, text(floor))
end
if not acknowledged_under(tokens, lane, token) then
  return 'lost'
end
if memory ~= '' then
  redis.call('HSET', attempts, lane, memory)
end
redis.call('ZREM', claimed, lane)
redis.call('HDEL', tokens, lane)
line_up(lane, list, now_us() + delay, ready, held)
return 'parked'
