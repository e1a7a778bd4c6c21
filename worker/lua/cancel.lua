-- Mark a waiting job as cancelled: when its turn comes, a worker records it in the ledger instead of applying it. The
-- turn of the head of a parked lane is now.
-- include: clock call line_up
-- KEYS: pending ready held cancelled bell lingering wake lanes
-- ARGV: id note
-- Returns: {word, ring}: marked | absent (no such job waits), and 1 when the caller must ring the bell
-- The first note stays, so a repeated call changes nothing. `lanes` is a prefix.
local pending, ready, held, cancelled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local bell, lingering, wake, lanes = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local id, note = ARGV[1], ARGV[2]

local waiting = redis.call('HGET', pending, id)
if not waiting then
  return {'absent', 0}
end
redis.call('HSETNX', cancelled, id, note)

local lane, now = string.match(waiting, '^%S+ (.*)$'), now_us()
local head = redis.call('LINDEX', lanes .. lane, 0) or ''
local due = tonumber(redis.call('ZSCORE', ready, lane) or '0')
if due > now and string.match(head, '^{"seq":%d+,"id":"([^"]*)",') == id
  and line_up(lane, lanes .. lane, now, ready, held) == 1 then
  return {'marked', call_worker(now, bell, lingering, wake)}
end
return {'marked', 0}
