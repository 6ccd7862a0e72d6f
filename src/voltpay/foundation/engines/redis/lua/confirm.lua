-- KEYS: claims. Those that are pending stay for good. The first byte of any other is 0: its time
-- in milliseconds is below 2^56.
for _, key in ipairs(KEYS) do
  if redis.call('GETRANGE', key, 0, 0) == '\128' then
    redis.call('SETRANGE', key, 0, '\0')
    redis.call('PERSIST', key)
  end
end
return redis.status_reply('OK')
