-- Let a held or parked lane go on at once.
-- include: clock call line_up
-- KEYS: ready claimed held bell lingering wake lane
-- ARGV: name
-- Returns: {word, ring}: resumed | idle (it was neither held nor parked), and 1 when the caller must ring the bell
local ready, claimed, held, bell, lingering, wake, list = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local lane = ARGV[1]
local now = now_us()

local was_held = redis.call('HDEL', held, lane) == 1
local at = tonumber(redis.call('ZSCORE', ready, lane) or '0')
if not was_held and at <= now then
  return {'idle', 0}
end
if redis.call('ZSCORE', claimed, lane) or line_up(lane, list, now, ready, held) == 0 then
  return {'resumed', 0}
end
return {'resumed', call_worker(now, bell, lingering, wake)}
