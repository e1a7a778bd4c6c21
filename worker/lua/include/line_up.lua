-- Put a lane that nobody has claimed where it belongs: held until its end time (or for good), ready at `at`, or nowhere
-- when it is empty. Answers 1 if it is ready now or later, else 0.
local function line_up(lane, list, at, ready, held)
  local hold = redis.call('HGET', held, lane)
  if hold then
    local ends = tonumber(string.match(hold, '^(%d+) '))
    if ends > 0 then
      redis.call('ZADD', ready, text(ends), lane)
    else
      redis.call('ZREM', ready, lane)
    end
    return 0
  end
  if redis.call('EXISTS', list) == 0 then
    redis.call('ZREM', ready, lane)
    return 0
  end
  redis.call('ZADD', ready, text(at), lane)
  return 1
end
