-- KEYS: stream. ARGV: groups. What is pending goes with the old groups.
local state = state_of(KEYS[1])
for name in pairs(groups_of(KEYS[1])) do
  redis.call('XGROUP', 'DESTROY', KEYS[1], name)
end
for _, group in ipairs(ARGV) do
  redis.call('XGROUP', 'CREATE', KEYS[1], group, state.last, 'MKSTREAM', 'ENTRIESREAD', state.added)
  redis.call('UNLINK', 'failed:' .. string.sub(KEYS[1], 5) .. ':0:' .. group)
end
return redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
