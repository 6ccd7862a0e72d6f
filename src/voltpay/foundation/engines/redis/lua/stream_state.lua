local function state_of(stream)
  if redis.call('EXISTS', stream) == 0 then
    return {length = 0, added = 0, last = '0-0'}
  end
  local info, state = redis.call('XINFO', 'STREAM', stream), {}
  for i = 1, #info, 2 do
    state[info[i]] = info[i + 1]
  end
  return {
    length = state['length'],
    added = state['entries-added'],
    last = state['last-generated-id'],
  }
end

local function groups_of(stream)
  local groups = {}
  if redis.call('EXISTS', stream) == 1 then
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      local group = {}
      for i = 1, #info, 2 do
        group[info[i]] = info[i + 1]
      end
      groups[group['name']] = group
    end
  end
  return groups
end

local function cursor_text(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  return string.format('%015.0f-%07.0f', tonumber(ms), tonumber(sequence))
end

local function id_of(cursor)
  local ms, sequence = string.match(cursor, '^(%d+)-(%d+)$')
  return string.format('%.0f-%.0f', tonumber(ms), tonumber(sequence))
end

local ORIGIN = '000000000000000-0000000'

