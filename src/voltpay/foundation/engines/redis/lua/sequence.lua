-- Above this, a stream's next id gets a new millisecond: a position has 20 bits for the sequence.
-- It happens only when the server's clock was set back, and then every half a million records.
local SEQUENCE_MAX = 524288

local function keep_sequence_small(stream, id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  if tonumber(sequence) > SEQUENCE_MAX then
    redis.call('XSETID', stream, string.format('%.0f-0', tonumber(ms) + 1))
  end
end

