-- Put dead letters back into their lanes, each where its number belongs: before the first job with a higher one.
-- include: clock call line_up splice
-- KEYS: pending ready claimed attempts crashes held bell lingering wake lanes outcomes
-- ARGV: for each job, lane by lane, lowest number first: lane id digest seq job
-- Returns: {ring, lane, …}: 1 when the caller must ring the bell, and the lanes that are claimed: of them nothing was changed
-- A job that waits already is passed over; another one under its id is not it. A new head begins with a clean memory:
-- attempts and crashes belong to the head that they were counted for; a lane whose head stays goes on waiting for its
-- backoff. `lanes` and `outcomes` are prefixes.
local pending, ready, claimed, attempts, crashes, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local bell, lingering, wake, lanes, outcomes = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local now, answer, news = now_us(), {0}, false

local function waits(id, digest, lane)
  return redis.call('HSETNX', pending, id, digest .. ' ' .. lane) == 0
    and string.sub(redis.call('HGET', pending, id), 1, #digest + 1) == digest .. ' '
end

local function put_back(lane, numbers, jobs)
  local list, at = lanes .. lane, now
  if splice_by_number(list, numbers, jobs) == 0 then
    redis.call('HDEL', attempts, lane)
    redis.call('HDEL', crashes, lane)
  else
    at = tonumber(redis.call('ZSCORE', ready, lane) or now)
  end
  if line_up(lane, list, at, ready, held) == 1 then
    news = true
  end
end

local i = 1
while i <= #ARGV do
  local lane, numbers, jobs = ARGV[i], {}, {}
  local busy = redis.call('ZSCORE', claimed, lane)
  while ARGV[i] == lane do
    local id, digest = ARGV[i + 1], ARGV[i + 2]
    if not busy and not waits(id, digest, lane) then
      redis.call('DEL', outcomes .. id)
      numbers[#numbers + 1], jobs[#jobs + 1] = tonumber(ARGV[i + 3]), ARGV[i + 4]
    end
    i = i + 5
  end
  if busy then
    answer[#answer + 1] = lane
  elseif #jobs > 0 then
    put_back(lane, numbers, jobs)
  end
end

if news then
  answer[1] = call_worker(now, bell, lingering, wake)
end
return answer
