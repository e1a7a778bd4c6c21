-- The claim in force on a lane: its token, and how many jobs of it are already acknowledged. Nil when it isn't `token`.
local function acknowledged_under(tokens, lane, token)
  local claim = redis.call('HGET', tokens, lane)
  if not claim then
    return nil
  end
  local holder, count = string.match(claim, '^(%d+):(%d+)$')
  if holder ~= token then
    return nil
  end
  return tonumber(count)
end
