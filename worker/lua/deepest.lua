-- The longest lanes among those in a range of the index `ready`. Changes nothing.
-- KEYS: ready lanes
-- ARGV: first last count
-- Returns: {looked_at, lane, length, …}, at most `count` lanes, the longest first
-- There is no index of lengths; so the caller asks for one range after the other, and each holds up Redis for about 1 ms.
local ready, lanes = KEYS[1], KEYS[2]
local first, last, count = ARGV[1], ARGV[2], tonumber(ARGV[3])

local names = redis.call('ZRANGE', ready, first, last)
local answer = {#names}
for _, lane in ipairs(names) do
  local length = redis.call('LLEN', lanes .. lane)
  local place = #answer + 1
  while place > 2 and answer[place - 1] < length do
    place = place - 2
  end
  if place <= 2 * count then
    table.insert(answer, place, length)
    table.insert(answer, place, lane)
    answer[2 * count + 2], answer[2 * count + 3] = nil, nil
  end
end
return answer
