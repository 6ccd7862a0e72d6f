-- After publish: cursor · moves · (partition, stream, from, to, records between) each
--                · (failures, count, ids) each. Gives the partitions that were set back meanwhile.
local ORIGIN = '000000000000000-0000000'

local function plain(cursor)
  local ms, sequence = string.match(cursor, '^(%d+)-(%d+)$')
  return string.format('%.0f-%.0f', tonumber(ms), tonumber(sequence))
end

local function move(cursor, partition, stream, from, to, between)
  local stands = redis.call('HGET', cursor, partition)
  if stands and stands < from or not stands and from > ORIGIN then
    return false
  elseif stands and to <= stands then
    return true
  elseif stands and stands > from then
    between = #redis.call('XRANGE', stream, '(' .. plain(stands), plain(to))
  end
  redis.call('HSET', cursor, partition, to)
  redis.call('HINCRBY', cursor, partition .. ':n', between)
  return true
end

local at, refused = publish()
if not at then
  return refused
end
local cursor, moves, set_back = ARGV[at], tonumber(ARGV[at + 1]), {}
at = at + 2
for _ = 1, moves do
  if not move(cursor, unpack(ARGV, at, at + 4)) then
    set_back[#set_back + 1] = tonumber(ARGV[at])
  end
  at = at + 5
end
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  forget_failures(ARGV[at], at + 2, at + 1 + count)
  at = at + 2 + count
end
return set_back
