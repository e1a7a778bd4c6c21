-- A drain ends: nobody waits for it any more. If ready lanes stay behind, another drain is called.
-- include: clock call
-- KEYS: ready bell lingering wake drains grant
-- ARGV: drain
-- Returns: 1 when the caller must ring the bell, else 0
local ready, bell, lingering, wake, drains, grant = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local drain = ARGV[1]

redis.call('ZREM', lingering, drain)
redis.call('ZREM', drains, drain)
redis.call('DEL', grant)
local now = now_us()
if redis.call('ZCOUNT', ready, '-inf', now) == 0 then
  return 0
end
return call_worker(now, bell, lingering, wake)
