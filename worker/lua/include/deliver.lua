-- The jobs of chosen lanes as claim's answer: of each lane at most `per_lane` since the start of the claim, and of all
-- together about `byte_count` bytes, but always the head.
local function deliver(token, chosen, per_lane, byte_count, tokens, attempts, crashes, lanes)
  local answer, bytes = {'claimed', 0, token}, 0
  for _, lane in ipairs(chosen) do
    local already = acknowledged_under(tokens, lane, token)
    local jobs = {}
    for i, job in ipairs(redis.call('LRANGE', lanes .. lane, 0, per_lane - already - 1)) do
      bytes = bytes + #job
      if i > 1 and bytes > byte_count then
        break
      end
      jobs[i] = job
    end
    answer[#answer + 1] = lane
    answer[#answer + 1] = redis.call('HGET', attempts, lane) or ''
    answer[#answer + 1] = tonumber(redis.call('HGET', crashes, lane) or '0')
    answer[#answer + 1] = jobs
  end
  return answer
end
