"""How anything runs: the loops, group commit, HTTP, sealing, telemetry, life cycle, supervisor."""
