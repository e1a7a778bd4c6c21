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

local total = redis.call('HLEN', pending)
local now = now_us()
local seq = take_numbers(clock, now, (#ARGV - 2) / 4)
local answer, news, counts = {0}, false, {}
local counters = {queued = 'enqueued|', duplicate = 'deduplicated|', done = 'deduplicated|'}

local function word_for(id, lane, digest)
  local waiting = redis.call('HGET', pending, id)
  local known = waiting or redis.call('LINDEX', outcomes .. id, 0)
  if known then
    if string.sub(known, 1, #digest + 1) ~= digest .. ' ' then
      return 'reused'
    end
    return waiting and 'duplicate' or 'done'
  end
  if total >= total_limit then
    return 'full'
  end
  if redis.call('LLEN', lanes .. lane) >= lane_limit then
    return 'lane_full'
  end
  return 'queued'
end

for i = 3, #ARGV, 4 do
  local id, lane, digest, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local word = word_for(id, lane, digest)
  if word == 'queued' then
    redis.call('RPUSH', lanes .. lane, '{"seq":' .. text(seq) .. ',' .. string.sub(body, 2))
    redis.call('HSET', pending, id, digest .. ' ' .. lane)
    total = total + 1
    if not redis.call('ZSCORE', claimed, lane) and redis.call('HEXISTS', held, lane) == 0
      and redis.call('ZADD', ready, 'NX', text(now), lane) == 1 then
      news = true
    end
  end
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
