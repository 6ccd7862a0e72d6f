-- Whole nodes as long as there are many, for that is cheap; the last ones one by one.
local function trim(stream, keep, most)
  local gone = redis.call('XTRIM', stream, 'MINID', '~', keep, 'LIMIT', most)
  if gone < tonumber(most) / 2 then
    gone = gone + redis.call('XTRIM', stream, 'MINID', '=', keep)
  end
  return gone
end

