-- Put jobs into a list that is ordered by number, each before the first one with a higher number; answers the place of the
-- first. Places are found by halving, and jobs that go into one gap are put there together, past the shorter of the two
-- sides: a long lane costs no more than what stands between the gap and its nearer end.
local function number_at(list, place)
  while place >= 0 do
    local number = string.match(redis.call('LINDEX', list, place), '^{"seq":(%d+),')
    if number then
      return tonumber(number)
    end
    place = place - 1 -- bytes that are no envelope: they go with the job before them
  end
  return 0
end

local function number_before(list, place)
  return place > 0 and number_at(list, place - 1) or -1
end

-- The place of a number below `high`, and the number before it.
local function place_for(list, number, high)
  local last = number_before(list, high)
  if last <= number then
    return high, last -- behind all, as most are
  end
  local low = 0
  while low < high do
    local middle = math.floor((low + high) / 2)
    if number_at(list, middle) > number then
      high = middle
    else
      low = middle + 1
    end
  end
  return low, number_before(list, low)
end

local function open_and_fill(list, place, length, jobs, first, last)
  local near_head = place <= length - place
  local aside = {}
  if near_head and place > 0 then
    aside = redis.call('LRANGE', list, 0, place - 1)
    redis.call('LTRIM', list, place, -1)
  elseif not near_head and place < length then
    aside = redis.call('LRANGE', list, place, -1)
    redis.call('LTRIM', list, 0, place - 1)
  end
  if near_head then
    for i = last, first, -1 do redis.call('LPUSH', list, jobs[i]) end
    for i = #aside, 1, -1 do redis.call('LPUSH', list, aside[i]) end
  else
    for i = first, last do redis.call('RPUSH', list, jobs[i]) end
    for i = 1, #aside do redis.call('RPUSH', list, aside[i]) end
  end
end

local function splice_by_number(list, numbers, jobs)
  local length, last = redis.call('LLEN', list), #jobs
  local place = length
  while last > 0 do
    local first, below = last
    place, below = place_for(list, numbers[last], place)
    while first > 1 and numbers[first - 1] >= below do
      first = first - 1
    end
    open_and_fill(list, place, length, jobs, first, last)
    length, last = length + last - first + 1, first - 1
  end
  return place
end
