-- It seems to be over: a sentinel tells so when it has stayed over for a while (stand_guard.lua).
-- include: clock
-- KEYS: incidents incidents_over
-- ARGV: incident text
-- Returns: ending | unknown (no such incident had begun)
local incidents, over = KEYS[1], KEYS[2]
local incident, said = ARGV[1], ARGV[2]

if redis.call('HEXISTS', incidents, incident) == 0 then
  return 'unknown'
end
redis.call('HSETNX', over, incident, text(now_us()) .. ' ' .. said)
return 'ending'
