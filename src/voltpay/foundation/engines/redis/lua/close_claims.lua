-- KEYS: claims. ARGV: window in seconds. Whoever confirms one later must not make it stay.
for _, key in ipairs(KEYS) do
  if redis.call('GETRANGE', key, 0, 0) == '\128' then
    redis.call('SETRANGE', key, 0, '\0')
  end
  redis.call('EXPIRE', key, ARGV[1])
end
return redis.status_reply('OK')
