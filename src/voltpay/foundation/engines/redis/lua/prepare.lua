-- ARGV: JSON {partitions, shared: {topic: [group]}, ordered: {topic: [group]}}.
local wanted = cjson.decode(ARGV[1])
local stored = tonumber(redis.call('GET', 'log:partitions') or wanted.partitions)

local function stream_of(topic, partition)
  return 'log:' .. topic .. ':' .. partition
end

local function finished(topic, group, partition)
  return tonumber(redis.call('HGET', 'cursor:' .. topic .. ':' .. group, partition .. ':n') or 0)
end

local function is_drained()
  for topic, groups in pairs(wanted.ordered) do
    for partition = 0, stored - 1 do
      local added = state_of(stream_of(topic, partition)).added
      for _, group in ipairs(groups) do
        if finished(topic, group, partition) < added then
          return false
        end
      end
    end
  end
  return true
end

local function drop_partitions_above()
  for topic, groups in pairs(wanted.ordered) do
    for partition = wanted.partitions, stored - 1 do
      redis.call('UNLINK', stream_of(topic, partition))
      for _, group in ipairs(groups) do
        redis.call('HDEL', 'cursor:' .. topic .. ':' .. group, partition, partition .. ':n')
        redis.call('HINCRBY', 'cursor:' .. topic .. ':' .. group, 'resets', 1)
      end
    end
  end
end

if stored ~= wanted.partitions then
  if not is_drained() then
    return redis.error_reply('PARTITIONS ' .. stored)
  end
  drop_partitions_above()
end
redis.call('SET', 'log:partitions', wanted.partitions)
for topic, groups in pairs(wanted.shared) do
  local stream = 'log:' .. topic
  local state, standing = state_of(stream), groups_of(stream)
  for _, group in ipairs(groups) do
    if not standing[group] then
      redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM',
        'ENTRIESREAD', state.added - state.length)
    end
  end
end
for topic, groups in pairs(wanted.ordered) do
  for partition = 0, wanted.partitions - 1 do
    local state = state_of(stream_of(topic, partition))
    for _, group in ipairs(groups) do
      local cursor = 'cursor:' .. topic .. ':' .. group
      if redis.call('HSETNX', cursor, partition, ORIGIN) == 1 then
        redis.call('HSET', cursor, partition .. ':n', state.added - state.length)
      end
    end
  end
end
return redis.status_reply('OK')
