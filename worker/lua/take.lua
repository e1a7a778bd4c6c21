-- Take one lane by its name, whatever it waits for, with its head alone: for a person who acts in a worker's place.
-- include: clock line_up token take_back deliver
-- KEYS: ready claimed tokens attempts crashes held clock grant lanes
-- ARGV: name lease_us
-- Returns: {'claimed', 0, token, lane, attempts, crashes, {job}} as a claim does, or {'busy'} (a worker has it), or
--   {'absent'} (nothing waits in it)
-- A hold stays in force. `grant` is the taker's own, so a repeated call (a lost reply) gives the same claim again.
local ready, claimed, tokens, attempts, crashes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local held, clock, grant, lanes = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local lane, lease = ARGV[1], tonumber(ARGV[2])
local now = now_us()

local granted = redis.call('GET', grant)
if granted and acknowledged_under(tokens, lane, granted) then
  return deliver(granted, {lane}, 1, 0, tokens, attempts, crashes, lanes)
end
take_back_expired(now, ready, claimed, tokens, crashes, held, lanes)
if redis.call('ZSCORE', claimed, lane) then
  return {'busy'}
end
if redis.call('EXISTS', lanes .. lane) == 0 then
  return {'absent'}
end

local token = text(take_numbers(clock, now, 1))
redis.call('ZREM', ready, lane)
redis.call('ZADD', claimed, text(now + lease), lane)
redis.call('HSET', tokens, lane, token .. ':0')
redis.call('SET', grant, token, 'PX', math.ceil(lease / 1000))
return deliver(token, {lane}, 1, 0, tokens, attempts, crashes, lanes)
