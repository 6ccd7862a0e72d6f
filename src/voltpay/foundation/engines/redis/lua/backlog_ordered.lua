-- KEYS: cursor, one stream a partition. What was ever added less what the group
-- has finished, by partition.
local lags = {}
for partition = 0, #KEYS - 2 do
  local finished = tonumber(redis.call('HGET', KEYS[1], partition .. ':n') or 0)
  lags[partition + 1] = state_of(KEYS[partition + 2]).added - finished
end
return lags
