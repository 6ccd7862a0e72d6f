-- KEYS: stream. ARGV: group. Lag is exact because no entry is ever deleted but by MINID.
local group = groups_of(KEYS[1])[ARGV[1]]
if not group then
  return redis.error_reply('NOGROUP the log has no such group yet')
end
return group['pending'] + (group['lag'] or state_of(KEYS[1]).length)
