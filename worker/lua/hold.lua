-- Stop a lane until a person resumes it, or until its end time. Jobs can still be enqueued; a batch at work ends first.
-- include: clock line_up
-- KEYS: ready claimed held lane
-- ARGV: name until_us note
-- Returns: held | absent (no such lane: nothing waits in it)
-- `until_us` is 0 for "until resumed"; `note` is JSON for people. A held lane with an end time stands in `ready` at it.
local ready, claimed, held, list = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local lane, ends, note = ARGV[1], ARGV[2], ARGV[3]

if redis.call('EXISTS', list) == 0 and not redis.call('ZSCORE', claimed, lane) then
  return 'absent'
end
redis.call('HSET', held, lane, ends .. ' ' .. note)
if not redis.call('ZSCORE', claimed, lane) then
  line_up(lane, list, now_us(), ready, held)
end
return 'held'
