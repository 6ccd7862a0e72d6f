-- ARGV: partitions or '' · count · (number of the stream in KEYS, body) each
--       · window in seconds · count · claim each. Gives where the rest begins, or an error.
local function publish()
  if ARGV[1] ~= '' then
    local stored = redis.call('GET', 'log:partitions')
    if not stored then
      return nil, redis.error_reply('NOTPREPARED the log has no partitions yet')
    elseif stored ~= ARGV[1] then
      return nil, redis.error_reply('PARTITIONS ' .. stored)
    end
  end
  local at, last = 3, {}
  for _ = 1, tonumber(ARGV[2]) do
    local stream = KEYS[tonumber(ARGV[at])]
    last[stream] = redis.call('XADD', stream, '*', 'b', ARGV[at + 1])
    at = at + 2
  end
  for stream, id in pairs(last) do
    keep_sequence_small(stream, id)
  end
  local window, claims = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  for i = at, at + claims - 1 do
    redis.call('EXPIRE', ARGV[i], window)
  end
  return at + claims
end

