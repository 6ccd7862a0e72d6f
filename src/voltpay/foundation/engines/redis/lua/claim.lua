-- KEYS: claims. ARGV: epoch · how long a claim may be pending, ms · what to claim each.
-- Gives for each what stood there before, or nothing.
local epoch = redis.call('GET', 'epoch') or '0'
if epoch ~= ARGV[1] then
  return redis.error_reply('STALEEPOCH ' .. epoch)
end
local standing = {}
for i, key in ipairs(KEYS) do
  standing[i] = redis.call('SET', key, ARGV[i + 2], 'NX', 'GET', 'PX', ARGV[2])
end
return standing
