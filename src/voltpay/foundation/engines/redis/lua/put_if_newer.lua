-- KEYS: what to store. ARGV: (cell, life in ms) each. A cell is a version (8 bytes, big-endian),
-- a mark ('v' a value, 't' a tombstone), and the value. Gives 1 for each stored, 0 for others.
-- Versions are compared as two halves: Lua's doubles would round them above 2^53.
-- What stands is read a hundred keys at once.
local READ_AT_ONCE = 100
local call = redis.call

local function is_below(one, other)
  local high, low = struct.unpack('>I4I4', one)
  local other_high, other_low = struct.unpack('>I4I4', other)
  return high < other_high or high == other_high and low < other_low
end

local stored, standing, seen = {}, {}, {}
for i, key in ipairs(KEYS) do
  local turn = (i - 1) % READ_AT_ONCE
  if turn == 0 then
    standing = call('MGET', unpack(KEYS, i, math.min(i + READ_AT_ONCE - 1, #KEYS)))
  end
  local cell, life = ARGV[2 * i - 1], ARGV[2 * i]
  -- A key that comes twice finds what it put before.
  local stands = seen[key] or standing[turn + 1]
  stored[i] = 1
  if stands and is_below(cell, stands) then
    stored[i] = 0
  else
    if stands and string.sub(stands, 9, 9) == 't' and string.sub(cell, 9, 9) == 'v' then
      -- A value that dies before the tombstone it replaced would let an older one in. Another
      -- tombstone stands as long as the one before, and begins later.
      life = math.max(tonumber(life), call('PTTL', key))
    end
    call('SET', key, cell, 'PX', life)
    seen[key] = cell
  end
end
return stored
