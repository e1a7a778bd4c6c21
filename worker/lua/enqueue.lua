-- Put jobs at the tails of their lanes; a job is known by its id, so a repeated call queues nothing twice.
-- include: clock call
-- KEYS: pending ready claimed held clock bell lingering wake lanes outcomes tally
-- ARGV: lane_limit total_limit, then for each job: id lane digest body
-- Returns: {ring, word, …}: ring is 1 when the caller must ring the bell; one word for each job:
--   queued | duplicate (waits already) | done (has ended already) | reused (other payload under this id)
--   | lane_full | full
-- `lanes` and `outcomes` are prefixes: the lane's list and the job's outcome are named by the job, on the same slot.
-- `tally` counts what was queued and what was known, by the kind that the body names.
local pending, ready, claimed, held, clock = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local bell, lingering, wake, lanes, outcomes, tally = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local lane_limit, total_limit = tonumber(ARGV[1]), tonumber(ARGV[2])

local now = now_us()
local seq = take_numbers(clock, now, (#ARGV - 2) / 4)
local total = redis.call('HLEN', pending)
local answer, news, counts = {0}, false, {}
local counters = {queued = 'enqueued|', duplicate = 'deduplicated|', done = 'deduplicated|'}

local function is_of(digest, known)
  return string.sub(known, 1, #digest + 1) == digest .. ' '
end

local function line_up_new(lane)
  if redis.call('ZADD', ready, 'NX', text(now), lane) == 0 then
    return
  elseif redis.call('ZSCORE', claimed, lane) or redis.call('HEXISTS', held, lane) == 1 then
    redis.call('ZREM', ready, lane)
  else
    news = true
  end
end

-- Looking first would cost calls: a step is taken, and taken back if it was one too many. No id stands without its job.
local function queue(id, lane, digest, body)
  local list, outcome = lanes .. lane, redis.call('LINDEX', outcomes .. id, 0)
  if outcome then
    local same = is_of(digest, outcome)
    return same and 'done' or 'reused'
  end
  local length = redis.call('RPUSH', list, '{"seq":' .. text(seq) .. ',' .. string.sub(body, 2))
  if redis.call('HSETNX', pending, id, digest .. ' ' .. lane) == 0 then
    redis.call('RPOP', list)
    local same = is_of(digest, redis.call('HGET', pending, id))
    return same and 'duplicate' or 'reused'
  end
  local full = total >= total_limit
  if full or length > lane_limit then
    redis.call('HDEL', pending, id)
    redis.call('RPOP', list)
    return full and 'full' or 'lane_full'
  end
  total = total + 1
  line_up_new(lane)
  return 'queued'
end

for i = 3, #ARGV, 4 do
  local id, lane, digest, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local word = queue(id, lane, digest, body)
  if counters[word] then
    local counter = counters[word] .. (string.match(body, '^{"id":"[^"]*","kind":"([^"]*)"') or 'unknown')
    counts[counter] = (counts[counter] or 0) + 1
  end
  seq = seq + 1
  answer[#answer + 1] = word
end
for counter, count in pairs(counts) do
  redis.call('HINCRBY', tally, counter, count)
end

if news then
  answer[1] = call_worker(now, bell, lingering, wake)
end
return answer
