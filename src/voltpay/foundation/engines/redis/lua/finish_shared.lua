-- After publish: group · (stream, failures, count, ids) each
local at, refused = publish()
if not at then
  return refused
end
local group = ARGV[at]
at = at + 1
while at <= #ARGV do
  local stream, failures, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local from, to = at + 3, at + 2 + count
  for i = from, to, CHUNK do
    redis.call('XACK', stream, group, unpack(ARGV, i, math.min(i + CHUNK - 1, to)))
  end
  forget_failures(failures, from, to)
  at = to + 1
end
return redis.status_reply('OK')
