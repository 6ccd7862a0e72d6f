"""PostgreSQL: pools, transactions, names. Nothing else in the house imports asyncpg."""
