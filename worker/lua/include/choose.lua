-- Choose ready lanes, oldest first, and how many jobs of each. A lane whose head failed or crashed before is chosen
-- alone, with one job, so that it can harm no other; behind others it waits until it is the oldest.
local function choose(now, lane_count, job_count, ready, attempts, crashes)
  local due = redis.call('ZRANGEBYSCORE', ready, '-inf', now, 'LIMIT', 0, lane_count)
  local chosen = {}
  for _, lane in ipairs(due) do
    local suspect = redis.call('HEXISTS', attempts, lane) == 1 or redis.call('HEXISTS', crashes, lane) == 1
    if suspect and #chosen == 0 then
      return {lane}, 1
    end
    if not suspect then
      chosen[#chosen + 1] = lane
    end
  end
  return chosen, math.max(1, math.floor(job_count / math.max(1, #due)))
end
