-- KEYS: any. Gives those that are there and never expire.
local standing = {}
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) == -1 then
    standing[#standing + 1] = key
  end
end
return standing
