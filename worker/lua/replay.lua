-- Put dead letters back into their lane, each where its number belongs: before the first job with a higher one.
-- include: clock call line_up splice
-- KEYS: pending ready claimed attempts crashes held bell lingering wake lane outcomes
-- ARGV: name, then for each job, lowest number first: id digest seq job
-- Returns: {word, ring}: queued | busy (the lane is claimed: nothing was changed), and 1 when the caller must ring
-- A job that waits already is passed over; another one under its id is not it. A new head begins with a clean memory: attempts and crashes belong to the
-- head that they were counted for; a lane whose head stays goes on waiting for its backoff. `outcomes` is a prefix.
local pending, ready, claimed, attempts, crashes, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local bell, lingering, wake, list, outcomes = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local lane, now = ARGV[1], now_us()

if redis.call('ZSCORE', claimed, lane) then
  return {'busy', 0}
end

local numbers, jobs = {}, {}
for i = 2, #ARGV, 4 do
  local id, digest = ARGV[i], ARGV[i + 1]
  local waiting = redis.call('HGET', pending, id)
  if not waiting or string.sub(waiting, 1, #digest + 1) ~= digest .. ' ' then
    redis.call('HSETNX', pending, id, digest .. ' ' .. lane)
    redis.call('DEL', outcomes .. id)
    numbers[#numbers + 1], jobs[#jobs + 1] = tonumber(ARGV[i + 2]), ARGV[i + 3]
  end
end
if #jobs == 0 then
  return {'queued', 0}
end

local at = now
if splice_by_number(list, numbers, jobs) == 0 then
  redis.call('HDEL', attempts, lane)
  redis.call('HDEL', crashes, lane)
else
  at = tonumber(redis.call('ZSCORE', ready, lane) or now)
end
if line_up(lane, list, at, ready, held) == 0 then
  return {'queued', 0}
end
return {'queued', call_worker(now, bell, lingering, wake)}
