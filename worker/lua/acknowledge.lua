-- Take jobs that have ended off the head of a claimed lane, publish their outcomes, and give the lane back unless kept.
-- include: clock line_up token
-- KEYS: ready claimed tokens attempts crashes held pending cancelled lane outcomes
-- ARGV: name token upto keep outcome_ms, then for each job that has ended: id outcome
-- Returns: kept | released | lost (the claim is no longer in force: somebody else goes on, nothing was changed)
-- `upto` counts from the start of the claim, so the same call again takes nothing off. `outcomes` is a prefix.
local ready, claimed, tokens, attempts, crashes, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local pending, cancelled, list, outcomes = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local lane, token, upto, keep, outcome_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', ARGV[5]

local before = acknowledged_under(tokens, lane, token)
if not before then
  return 'lost'
end
if upto > before then
  redis.call('LTRIM', list, upto - before, -1)
  local ids = {}
  for i = 6, #ARGV, 2 do
    local outcome = outcomes .. ARGV[i]
    if redis.call('RPUSH', outcome, ARGV[i + 1]) > 1 then
      redis.call('LPOP', outcome)
    end
    redis.call('PEXPIRE', outcome, outcome_ms)
    ids[#ids + 1] = ARGV[i]
    if #ids == 1000 or i + 1 == #ARGV then -- Lua can't unpack many more
      redis.call('HDEL', pending, unpack(ids))
      redis.call('HDEL', cancelled, unpack(ids))
      ids = {}
    end
  end
  redis.call('HDEL', attempts, lane)
  redis.call('HDEL', crashes, lane)
end
if keep then
  redis.call('HSET', tokens, lane, token .. ':' .. text(math.max(upto, before)))
  return 'kept'
end
redis.call('ZREM', claimed, lane)
redis.call('HDEL', tokens, lane)
line_up(lane, list, now_us(), ready, held)
return 'released'
