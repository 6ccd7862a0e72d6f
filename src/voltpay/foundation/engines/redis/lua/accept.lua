-- No allow-oom: at the memory bound nothing new is accepted, and nothing is half done.
-- KEYS: claims. ARGV: epoch · (stream, what to claim, body) each.
-- Gives (number of the claim, what stands there) for those that were claimed before.
local epoch = redis.call('GET', 'epoch') or '0'
if epoch ~= ARGV[1] then
  return redis.error_reply('STALEEPOCH ' .. epoch)
end
local standing, at, last = {}, 2, {}
for i = 1, #KEYS do
  local stands = redis.call('SET', KEYS[i], ARGV[at + 1], 'NX', 'GET')
  if stands then
    standing[#standing + 1] = i
    standing[#standing + 1] = stands
  else
    last[ARGV[at]] = redis.call('XADD', ARGV[at], '*', 'b', ARGV[at + 2])
  end
  at = at + 3
end
for stream, id in pairs(last) do
  keep_sequence_small(stream, id)
end
return standing
