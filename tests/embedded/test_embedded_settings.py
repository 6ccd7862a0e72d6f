"""The settings behind the promise, and that nobody else gets in."""

import os
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
from tests.conftest import CACHE_MEMORY_BYTES, LOG_MEMORY_BYTES, Installation

POSTGRES = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "data_sync_retry": "off",
    "data_checksums": "on",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "30s",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
    "max_wal_size": "4GB",
    "listen_addresses": "",
    "server_encoding": "UTF8",
    "TimeZone": "UTC",
}
VALKEY = {"log": ("yes", "always", "noeviction"), "cache": ("no", "everysec", "allkeys-lru")}


@pytest.mark.parametrize(("name", "wanted"), POSTGRES.items())
async def test_postgresql_has_the_settings_of_the_promise(
    installation: Installation, name: str, wanted: str
) -> None:
    connection = await asyncpg.connect(installation.urls.database)
    assert await connection.fetchval(f"show {name}") == wanted
    await connection.close()


@pytest.mark.parametrize("name", ["log", "cache"])
def test_valkey_has_the_settings_of_its_use(
    installation: Installation, log_url: str, cache_url: str, name: str
) -> None:
    with redis.Redis.from_url({"log": log_url, "cache": cache_url}[name]) as client:
        found: Any = client.config_get("*")
    is_kept, syncs, policy = VALKEY[name]
    assert found["appendonly"] == is_kept
    assert found["appendfsync"] == syncs or name == "cache"
    assert found["maxmemory-policy"] == policy
    assert found["no-appendfsync-on-rewrite"] == "no"
    assert found["save"] == ""
    assert found["port"] == "0"
    memory = {"log": LOG_MEMORY_BYTES, "cache": CACHE_MEMORY_BYTES}[name]
    assert found["maxmemory"] == str(memory)


async def test_a_wrong_password_is_refused(installation: Installation) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(installation.urls.database, password="guessed")


async def test_the_superuser_cannot_log_in(installation: Installation) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(installation.urls.database, user="postgres", password="")


async def test_the_user_of_the_books_is_no_superuser(installation: Installation) -> None:
    connection = await asyncpg.connect(installation.urls.database)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("copy (select 1) to program 'true'")
    await connection.close()


async def test_statements_are_counted(installation: Installation) -> None:
    connection = await asyncpg.connect(installation.urls.database)
    await connection.fetchval("select 'counted'")
    found = await connection.fetchval(
        "select count(*) from pg_stat_statements where dbid = "
        "(select oid from pg_database where datname = current_database())"
    )
    assert found > 0
    await connection.close()


async def test_the_server_log_has_no_values_of_a_refused_statement(
    installation: Installation, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("create table guarded (mail text check (length(mail) < 3))")
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("insert into guarded values ('ada@example.org')")
    await connection.close()
    log = (installation.data / "postgres" / "server.log").read_text()
    assert "guarded_mail_check" in log
    assert "ada@" not in log


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
@pytest.mark.parametrize("path", ["run/valkey", "run/postgres", "log", "cache", "."])
def test_another_user_does_not_get_at_it(installation: Installation, path: str) -> None:
    user = ["setpriv", "--reuid", "games", "--regid", "games", "--clear-groups"]
    arguments = [*user, "ls", str(installation.data / path)]
    listed = subprocess.run(arguments, capture_output=True, check=False)
    assert b"ermission denied" in listed.stderr


def test_no_folder_of_engines_is_open_to_others(installation: Installation) -> None:
    closed = ["run/valkey", "run/postgres", "log", "cache", "postgres/cluster"]
    assert [path for path in closed if Path(installation.data / path).stat().st_mode & 0o077] == []
    assert (installation.data / "postgres" / "password").stat().st_mode & 0o077 == 0
