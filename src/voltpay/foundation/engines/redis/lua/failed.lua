return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
