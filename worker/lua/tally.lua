-- Add to the counters that all processes share.
-- KEYS: tally
-- ARGV: for each counter: field increment
-- Returns: how many counters were added to
-- A repeated call counts twice; counters are for watching only.
local tally = KEYS[1]

for i = 1, #ARGV, 2 do
  redis.call('HINCRBY', tally, ARGV[i], ARGV[i + 1])
end
return #ARGV / 2
