-- KEYS: cursor, one stream a partition. What was ever added less what the group has finished.
local backlog = 0
for partition = 0, #KEYS - 2 do
  local finished = tonumber(redis.call('HGET', KEYS[1], partition .. ':n') or 0)
  backlog = backlog + state_of(KEYS[partition + 2]).added - finished
end
return backlog
