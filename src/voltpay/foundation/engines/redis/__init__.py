"""Redis and Valkey: the log as streams, claims, the cache. Nothing else imports redis."""
