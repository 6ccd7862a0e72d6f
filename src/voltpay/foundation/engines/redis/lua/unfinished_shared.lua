-- KEYS: stream. ARGV: group · the id read last, exclusive · count.
-- Gives {id read last or '', bodies…} of what is pending or was never delivered.
local group = groups_of(KEYS[1])[ARGV[1]]
if not group then
  return redis.error_reply('NOGROUP the log has no such group yet')
end

local function parts(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(sequence)
end

local reached_ms, reached_sequence = parts(group['last-delivered-id'])

local function is_open(id)
  local ms, sequence = parts(id)
  if ms > reached_ms or ms == reached_ms and sequence > reached_sequence then
    return true
  end
  return #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) > 0
end

local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])
local reply = {#entries > 0 and entries[#entries][1] or ''}
for _, entry in ipairs(entries) do
  if is_open(entry[1]) then
    reply[#reply + 1] = entry[2][2]
  end
end
return reply
