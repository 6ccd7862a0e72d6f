-- KEYS: stream. ARGV: group · consumer · count · before every alive key · whom to take over from:
--       'gone' (closed) or 'dead' (no sign of life either).
-- Gives {id, fields} each. A consumer with pending entries is never deleted: they would be lost.
local stream, group, me, room, alive = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local PENDING_MAX = 1000
local taken = {}

local function is_left(name)
  local state = redis.call('GET', alive .. name)
  return name ~= me and (state == 'gone' or not state and ARGV[5] == 'dead')
end

if redis.call('EXISTS', stream) == 0 then
  return redis.error_reply('NOGROUP the log has no such stream yet')
end
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local name, pending = info[2], info[4]
  if is_left(name) then
    if pending == 0 then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
    elseif room > #taken then
      local count, ids = math.min(room - #taken, PENDING_MAX), {}
      for i, one in ipairs(redis.call('XPENDING', stream, group, '-', '+', count, name)) do
        ids[i] = one[1]
      end
      for _, entry in ipairs(redis.call('XCLAIM', stream, group, me, 0, unpack(ids))) do
        taken[#taken + 1] = entry
      end
    end
  end
end
return taken
