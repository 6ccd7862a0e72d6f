-- KEYS: cursor, one stream a partition. ARGV: count · how often the group was set back, as far as
-- the caller knows, or '' · the partition to begin with · the id read last, a partition each.
-- Gives {resets, cursors…} if the caller knows another number of resets, else
-- {resets, (partition, {id, fields} each) each}: the partitions in turn, each with its share
-- first, and what is left of the count for whoever has more.
local count, resets = tonumber(ARGV[1]), redis.call('HGET', KEYS[1], 'resets') or '0'
local partitions = #KEYS - 1
if resets ~= ARGV[2] then
  local reply = {resets}
  for partition = 0, partitions - 1 do
    reply[partition + 2] = redis.call('HGET', KEYS[1], partition) or ''
  end
  return reply
end
local taken, from, hungry = {resets}, {}, {}

local function read(partition, limit)
  local entries = redis.call(
    'XRANGE', KEYS[partition + 2], '(' .. from[partition], '+', 'COUNT', limit)
  if #entries > 0 then
    taken[#taken + 1] = partition
    taken[#taken + 1] = entries
    count = count - #entries
    from[partition] = entries[#entries][1]
  end
  return #entries == limit
end

local share = math.ceil(count / partitions)
for turn = 0, partitions - 1 do
  local partition = (tonumber(ARGV[3]) + turn) % partitions
  from[partition] = ARGV[partition + 4]
  if count > 0 and read(partition, math.min(share, count)) then
    hungry[#hungry + 1] = partition
  end
end
for _, partition in ipairs(hungry) do
  if count > 0 then
    read(partition, count)
  end
end
return taken
