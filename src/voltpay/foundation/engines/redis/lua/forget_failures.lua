local CHUNK = 1000

local function forget_failures(failures, from, to)
  if redis.call('EXISTS', failures) == 1 then
    for i = from, to, CHUNK do
      redis.call('HDEL', failures, unpack(ARGV, i, math.min(i + CHUNK - 1, to)))
    end
  end
end

