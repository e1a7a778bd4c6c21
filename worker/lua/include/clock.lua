-- The one clock of a partition: max(last + 1, Redis TIME in µs). Its numbers order jobs and claims, and go on growing
-- even if Redis has lost its data. Written with %.0f, since Lua prints large numbers with an exponent.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function text(number)
  return string.format('%.0f', number)
end

local function take_numbers(clock, now, count)
  local last = tonumber(redis.call('SET', clock, text(now + count - 1), 'GET') or '0')
  if last < now then
    return now
  end
  redis.call('SET', clock, text(last + count))
  return last + 1
end
