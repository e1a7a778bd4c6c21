-- The timer's question: is a drain needed that nobody has been called for, or whose bell was lost?
-- include: clock call
-- KEYS: ready claimed bell lingering wake drains
-- ARGV: anyway patience_us
-- Returns: 1 when the caller must ring the bell, else 0
-- A lane whose backoff or lease has ended needs a drain; `anyway` is 1 when the caller knows of other work (the outbox).
-- While a drain is at work no bell is lost on anyone; otherwise one that nobody answered within `patience_us` was lost.
local ready, claimed, bell, lingering, wake, drains = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local anyway, patience = ARGV[1] == '1', tonumber(ARGV[2])
local now = now_us()

if not anyway and redis.call('ZCOUNT', ready, '-inf', now) == 0 and redis.call('ZCOUNT', claimed, '-inf', now) == 0 then
  return 0
end
local rung = tonumber(redis.call('GET', bell) or '0')
if rung > 0 and rung + patience <= now and redis.call('ZCOUNT', drains, now, '+inf') == 0 then
  redis.call('DEL', bell)
end
return call_worker(now, bell, lingering, wake)
