-- KEYS: one stream a partition. ARGV: topic · groups.
for i = 2, #ARGV do
  local cursor = 'cursor:' .. ARGV[1] .. ':' .. ARGV[i]
  for partition = 0, #KEYS - 1 do
    local state = state_of(KEYS[partition + 1])
    redis.call('HSET', cursor, partition, cursor_text(state.last), partition .. ':n', state.added)
    redis.call('UNLINK', 'failed:' .. ARGV[1] .. ':' .. partition .. ':' .. ARGV[i])
  end
  redis.call('HINCRBY', cursor, 'resets', 1)
end
for _, stream in ipairs(KEYS) do
  redis.call('XTRIM', stream, 'MAXLEN', 0)
end
return redis.status_reply('OK')
