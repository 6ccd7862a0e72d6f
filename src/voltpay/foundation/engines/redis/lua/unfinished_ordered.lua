-- KEYS: stream, cursor. ARGV: partition · the id read last, exclusive, or '' for the cursor · count.
-- Gives {id read last or '', bodies…} of what is behind the cursor.
local from = ARGV[2]
if from == '' then
  from = id_of(redis.call('HGET', KEYS[2], ARGV[1]) or ORIGIN)
end
local entries = redis.call('XRANGE', KEYS[1], '(' .. from, '+', 'COUNT', ARGV[3])
local reply = {#entries > 0 and entries[#entries][1] or ''}
for _, entry in ipairs(entries) do
  reply[#reply + 1] = entry[2][2]
end
return reply
