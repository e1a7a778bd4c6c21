-- Mark a waiting job as cancelled: when its turn comes, a worker records it in the ledger instead of applying it.
-- KEYS: pending cancelled
-- ARGV: id note
-- Returns: marked | absent (no such job waits)
local pending, cancelled = KEYS[1], KEYS[2]
local id, note = ARGV[1], ARGV[2]

if redis.call('HEXISTS', pending, id) == 0 then
  return 'absent'
end
redis.call('HSET', cancelled, id, note)
return 'marked'
