-- After publish: group · stream · failures · ids.
local at, refused = publish()
if not at then
  return refused
end
local from, to = at + 3, #ARGV
for i = from, to, CHUNK do
  redis.call('XACK', ARGV[at + 1], ARGV[at], unpack(ARGV, i, math.min(i + CHUNK - 1, to)))
end
forget_failures(ARGV[at + 2], from, to)
return redis.status_reply('OK')
