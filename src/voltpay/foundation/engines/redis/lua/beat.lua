return redis.call('SET', KEYS[1], 'here', 'PX', ARGV[1])
