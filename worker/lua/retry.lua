-- Let a parked lane try its head again now, before its backoff ends. A hold stays in force.
-- include: clock call line_up
-- KEYS: ready claimed held bell lingering wake lane
-- ARGV: name
-- Returns: {word, ring}: due | held | claimed (a worker has it) | absent (nothing waits in it), and 1 when the caller must
--   ring the bell
-- A lane that was due before keeps its place among the others.
local ready, claimed, held, bell, lingering, wake, list = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local lane = ARGV[1]
local now = now_us()

if redis.call('ZSCORE', claimed, lane) then
  return {'claimed', 0}
end
if redis.call('HEXISTS', held, lane) == 1 then
  return {'held', 0}
end
local since = tonumber(redis.call('ZSCORE', ready, lane) or now)
if line_up(lane, list, math.min(since, now), ready, held) == 0 then
  return {'absent', 0}
end
return {'due', call_worker(now, bell, lingering, wake)}
