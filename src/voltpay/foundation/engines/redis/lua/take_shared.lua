-- KEYS: streams, the highest priority first.
-- ARGV: group · consumer · count · before every alive key · whom to take over from:
--       'none', 'gone' (closed) or 'dead' (no sign of life either).
-- Gives {1, (number of the stream, {id, fields} each) each}, the last stream's own share last,
-- or, with nothing to take, {0, id that the group has reached in each stream}.
local group, me, room, alive, whom = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
if redis.call('EXISTS', unpack(KEYS)) < #KEYS then
  return redis.error_reply('NOGROUP the log has no such stream yet')
end
local PENDING_MAX = 1000
local taken = {1}

local function keep(number, entries)
  if #entries > 0 then
    taken[#taken + 1] = number
    taken[#taken + 1] = entries
    room = room - #entries
  end
end

local function is_left(name)
  local state = redis.call('GET', alive .. name)
  return name ~= me and (state == 'gone' or not state and whom == 'dead')
end

-- A consumer with pending entries is never deleted: they would be lost.
local function take_over(number)
  local stream = KEYS[number]
  for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local name, pending = info[2], info[4]
    if is_left(name) then
      if pending == 0 then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
      elseif room > 0 then
        local count, ids = math.min(room, PENDING_MAX), {}
        for i, one in ipairs(redis.call('XPENDING', stream, group, '-', '+', count, name)) do
          ids[i] = one[1]
        end
        keep(number, redis.call('XCLAIM', stream, group, me, 0, unpack(ids)))
      end
    end
  end
end

local function read(number, count)
  local reply = count > 0 and redis.call(
    'XREADGROUP', 'GROUP', group, me, 'COUNT', count, 'STREAMS', KEYS[number], '>')
  return reply and reply[1][2] or {}
end

if whom ~= 'none' then
  for number = 1, #KEYS do
    take_over(number)
  end
end
local share = {}
if #KEYS > 1 and room > 0 then
  share = read(#KEYS, math.min(room, math.ceil(tonumber(ARGV[3]) / 10)))
  room = room - #share
end
for number = 1, #KEYS - 1 do
  keep(number, read(number, room))
end
room = room + #share
keep(#KEYS, share)
keep(#KEYS, read(#KEYS, room))
if #taken > 1 then
  return taken
end
local reached = {0}
for number = 1, #KEYS do
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[number])) do
    for i = 1, #info, 2 do
      if info[i] == 'name' and info[i + 1] == group then
        info.is_mine = true
      elseif info[i] == 'last-delivered-id' and info.is_mine then
        reached[number + 1] = info[i + 1]
      end
    end
  end
end
return reached
