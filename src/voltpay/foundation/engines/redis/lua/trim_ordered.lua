-- KEYS: stream, cursor of each group. ARGV: most to drop · partition. Gives how many went.
local keep
for i = 2, #KEYS do
  local stands = redis.call('HGET', KEYS[i], ARGV[2])
  if not stands then
    return 0
  end
  if not keep or stands < keep then
    keep = stands
  end
end
if not keep then
  return 0
end
local ms, sequence = string.match(keep, '^(%d+)-(%d+)$')
return trim(KEYS[1], string.format('%.0f-%.0f', tonumber(ms), tonumber(sequence) + 1), ARGV[1])
