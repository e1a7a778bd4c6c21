-- Put a dead letter back into its lane, where its number belongs: before the first job with a higher one.
-- include: clock call line_up
-- KEYS: pending ready claimed attempts crashes held bell lingering wake lane outcome
-- ARGV: id name digest seq job
-- Returns: {word, ring}: queued | duplicate (it is back already) | busy (the lane is claimed: try again later)
-- A new head begins with a clean memory: attempts and crashes belong to the head that they were counted for.
local pending, ready, claimed, attempts, crashes, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local bell, lingering, wake, list, outcome = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local id, lane, digest, seq, job = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local now = now_us()

if redis.call('HEXISTS', pending, id) == 1 then
  return {'duplicate', 0}
end
if redis.call('ZSCORE', claimed, lane) then
  return {'busy', 0}
end

local place, behind = 0, redis.call('LINDEX', list, 0)
while behind do
  local other = tonumber(string.match(behind, '^{"seq":(%d+),') or '0')
  if other > seq then
    break
  end
  place = place + 1
  behind = redis.call('LINDEX', list, place)
end
if not behind then
  redis.call('RPUSH', list, job)
else
  redis.call('LINSERT', list, 'BEFORE', behind, job)
end
if place == 0 then
  redis.call('HDEL', attempts, lane)
  redis.call('HDEL', crashes, lane)
end
redis.call('HSET', pending, id, digest .. ' ' .. lane)
redis.call('DEL', outcome)
if line_up(lane, list, now, ready, held) == 0 then
  return {'queued', 0}
end
return {'queued', call_worker(now, bell, lingering, wake)}
