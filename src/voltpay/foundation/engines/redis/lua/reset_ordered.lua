-- KEYS: cursor, one stream a partition.
for partition = 0, #KEYS - 2 do
  local state = state_of(KEYS[partition + 2])
  redis.call('HSET', KEYS[1], partition, ORIGIN, partition .. ':n', state.added - state.length)
end
return redis.call('HINCRBY', KEYS[1], 'resets', 1)
