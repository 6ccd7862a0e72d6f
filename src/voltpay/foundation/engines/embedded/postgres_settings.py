"""What the embedded PostgreSQL is told: configuration, who may connect, first statements."""

from typing import Final

SETTINGS: Final = """\
listen_addresses = ''
port = 5432
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 100
cluster_name = '{name}'
timezone = 'UTC'
log_timezone = 'UTC'

fsync = on
full_page_writes = on
synchronous_commit = on
data_sync_retry = off
lock_timeout = 2s
idle_in_transaction_session_timeout = 30s

shared_buffers = {shared_buffers_mb}MB
effective_cache_size = 1GB
max_wal_size = 4GB
min_wal_size = 128MB
random_page_cost = 1.1
jit = off
io_workers = 2
max_worker_processes = 4
max_parallel_workers = 2
max_parallel_workers_per_gather = 1
autovacuum_worker_slots = 3
autovacuum_max_workers = 2
autovacuum_work_mem = 8MB

shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.max = 1000
track_io_timing = on
log_error_verbosity = terse
log_min_error_statement = panic
"""
WHO_MAY_CONNECT: Final = """\
local all all scram-sha-256
local replication voltpay scram-sha-256
"""
FIRST_STATEMENTS: Final = """\
create extension pg_stat_statements;
create role voltpay login createdb createrole replication password '{password}';
grant pg_monitor to voltpay;
create database voltpay owner voltpay;
"""


def quoted(text: str) -> str:
    """A text within the quotes of a configuration file."""
    return text.replace("\\", "\\\\").replace("'", "''")
