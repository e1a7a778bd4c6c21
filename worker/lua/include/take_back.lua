-- Take back the lanes whose lease has ended: the worker died or was paused under them, which counts against their heads.
local function take_back_expired(now, ready, claimed, tokens, crashes, held, lanes)
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', claimed, '-inf', now, 'LIMIT', 0, 1000)) do
    redis.call('ZREM', claimed, lane)
    redis.call('HDEL', tokens, lane)
    if redis.call('EXISTS', lanes .. lane) == 1 then
      redis.call('HINCRBY', crashes, lane, 1)
    end
    line_up(lane, lanes .. lane, now, ready, held)
  end
end
