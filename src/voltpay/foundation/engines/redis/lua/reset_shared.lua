-- KEYS: stream. ARGV: group. Pending entries go with the old group and are delivered anew.
local state = state_of(KEYS[1])
if not groups_of(KEYS[1])[ARGV[1]] then
  return redis.error_reply('NOGROUP the log has no such group yet')
end
redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'ENTRIESREAD', state.added - state.length)
return redis.status_reply('OK')
