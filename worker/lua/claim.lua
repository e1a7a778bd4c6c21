-- Take ready lanes, oldest first, each with its next jobs, under one token and one lease.
-- include: clock call line_up token take_back choose deliver
-- KEYS: ready claimed tokens attempts crashes held cancelled clock bell lingering wake drains grant lanes
-- ARGV: drain number begin lane_count job_count byte_count lease_us linger_us slice_us
-- Returns: {'claimed', ring, token, cancellations, lane, attempts, crashes, {job, …}, …} or {'empty', ring, wait_us}
-- `number` counts the drain's claims: the same number again gives the same claim again (a lost reply). `begin` is 1 for
-- the drain's first claim: whoever was called has come. `cancellations` says how many jobs are marked as cancelled. An
-- empty claim enters the drain among the lingering, and says how long nothing becomes ready by itself.
local ready, claimed, tokens, attempts, crashes, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local cancelled, clock, bell, lingering, wake = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local drains, grant, lanes = KEYS[12], KEYS[13], KEYS[14]
local drain, number, begin = ARGV[1], ARGV[2], ARGV[3] == '1'
local lane_count, job_count, byte_count = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local lease, linger, slice = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local now = now_us()

local function answer_with(token, chosen, per_lane)
  local answer = deliver(token, chosen, per_lane, byte_count, tokens, attempts, crashes, lanes)
  table.insert(answer, 4, redis.call('HLEN', cancelled))
  return answer
end

if begin then
  redis.call('DEL', bell)
  redis.call('ZREMRANGEBYSCORE', drains, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', lingering, '-inf', now)
  redis.call('ZADD', drains, text(now + slice + lease), drain)
end
redis.call('ZREM', lingering, drain)
take_back_expired(now, ready, claimed, tokens, crashes, held, lanes)

local last = redis.call('GET', grant)
if last then
  local last_number, token, per_lane, names = string.match(last, '^(%d+) (%d+) (%d+)\n(.*)$')
  if last_number == number then
    local still = {}
    for lane in string.gmatch(names, '[^\n]+') do
      if acknowledged_under(tokens, lane, token) then
        still[#still + 1] = lane
      end
    end
    return answer_with(token, still, tonumber(per_lane))
  end
end

local chosen, per_lane = choose(now, lane_count, job_count, ready, attempts, crashes)
if #chosen == 0 then
  local soon = tonumber(redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES')[2]) or math.huge
  local lease_end = tonumber(redis.call('ZRANGE', claimed, 0, 0, 'WITHSCORES')[2]) or math.huge
  redis.call('ZADD', lingering, text(now + linger), drain)
  return {'empty', 0, math.max(1000, math.min(linger, soon - now, lease_end - now))}
end

local token = text(take_numbers(clock, now, 1))
for _, lane in ipairs(chosen) do
  redis.call('ZREM', ready, lane)
  redis.call('HDEL', held, lane)
  redis.call('ZADD', claimed, text(now + lease), lane)
  redis.call('HSET', tokens, lane, token .. ':0')
end
redis.call('SET', grant, number .. ' ' .. token .. ' ' .. per_lane .. '\n' .. table.concat(chosen, '\n'),
  'PX', math.ceil(lease / 1000))

local answer = answer_with(token, chosen, per_lane)
if redis.call('ZCOUNT', ready, '-inf', now) > 0 then
  answer[2] = call_worker(now, bell, lingering, wake)
end
return answer
