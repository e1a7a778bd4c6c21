-- Call a worker: wake a drain that lingers, or else have the bell rung, unless it already was (nobody has begun since).
-- Answers 1 when the caller must ring, else 0.
local function call_worker(now, bell, lingering, wake)
  local waiting = redis.call('ZCOUNT', lingering, now, '+inf')
  if waiting > 0 then
    if redis.call('LLEN', wake) < waiting then
      redis.call('RPUSH', wake, '1')
    end
    return 0
  end
  if redis.call('EXISTS', bell) == 1 then
    return 0
  end
  redis.call('SET', bell, text(now))
  return 1
end
