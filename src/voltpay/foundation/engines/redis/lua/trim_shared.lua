-- KEYS: stream. ARGV: most to drop · groups. Gives how many entries went.
local function parts(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(sequence)
end

local function is_before(one, other)
  local ms, sequence = parts(one)
  local other_ms, other_sequence = parts(other)
  return ms < other_ms or ms == other_ms and sequence < other_sequence
end

local function after(id)
  local ms, sequence = parts(id)
  return string.format('%.0f-%.0f', ms, sequence + 1)
end

local groups, keep = groups_of(KEYS[1]), nil
for i = 2, #ARGV do
  local group = groups[ARGV[i]]
  if not group then
    return 0
  end
  local oldest = after(group['last-delivered-id'])
  if group['pending'] > 0 then
    oldest = redis.call('XPENDING', KEYS[1], ARGV[i])[2]
  end
  if not keep or is_before(oldest, keep) then
    keep = oldest
  end
end
return keep and trim(KEYS[1], keep, ARGV[1]) or 0
