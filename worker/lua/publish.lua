-- Append effects to the bot's stream, each once: an id that was appended before is passed over.
-- include: clock
-- KEYS: effects seen
-- ARGV: limit keep_us, then for each effect: id kind payload cause at
-- Returns: how many were appended
-- `seen` remembers ids for `keep_us`, far longer than a delivery can be repeated.
local effects, seen = KEYS[1], KEYS[2]
local limit, keep = ARGV[1], tonumber(ARGV[2])
local now, appended = now_us(), 0

redis.call('ZREMRANGEBYSCORE', seen, '-inf', now - keep)
for i = 3, #ARGV, 5 do
  local id, kind, payload, cause, at = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  if redis.call('ZADD', seen, 'NX', text(now), id) == 1 then
    redis.call('XADD', effects, 'MAXLEN', '~', limit, '*',
      'id', id, 'kind', kind, 'payload', payload, 'cause', cause, 'at', at)
    appended = appended + 1
  end
end
return appended
