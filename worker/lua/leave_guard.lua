-- A sentinel leaves: its worker no longer counts as alive, and another one may take the guard at once.
-- KEYS: workers guard
-- ARGV: name
-- Returns: left
local workers, guard = KEYS[1], KEYS[2]
local name = ARGV[1]

redis.call('ZREM', workers, name)
if redis.call('GET', guard) == name then
  redis.call('DEL', guard)
end
return 'left'
