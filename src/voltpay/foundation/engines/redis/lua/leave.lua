-- KEYS: alive key, streams. ARGV: group, consumer. With nothing pending the consumer goes;
-- else its alive key says for an hour that others may take over at once.
local left = false
for i = 2, #KEYS do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[i], ARGV[1])
  for _, info in ipairs(consumers) do
    if info[2] == ARGV[2] then
      if info[4] == 0 then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[i], ARGV[1], ARGV[2])
      else
        left = true
      end
    end
  end
end
if left then
  redis.call('SET', KEYS[1], 'gone', 'EX', 3600)
else
  redis.call('DEL', KEYS[1])
end
return redis.status_reply('OK')
