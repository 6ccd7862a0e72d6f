-- KEYS: failures. ARGV: which · seconds that they are remembered without another, or none.
local count = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
if ARGV[2] then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return count
