"""Dead: what no stage could handle, kept until a person replays or discards it."""
