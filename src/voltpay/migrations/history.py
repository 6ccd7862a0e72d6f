"""What was done to a database: who applied which script and when. Needs no Alembic."""

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.engines.postgres.pool import Row, translated
from voltpay.migrations.scripts import scripts

SCHEMA: Final = "migrations"
_MAKE: Final = """
create schema if not exists migrations;
create table if not exists migrations.history (
    id        bigint generated always as identity primary key,
    revision  text           not null,
    direction text           not null check (direction in ('up', 'down')),
    checksum  text           not null,  -- SHA-256 of the script that was run
    who       text           not null,
    at        timestamptz(3) not null default clock_timestamp()
);
-- The oldest revision whose code may go on beside it; null: its own.
alter table migrations.history add column if not exists serves text;
"""
_HELD: Final = """
select distinct on (revision) revision, direction, checksum, who, at,
       coalesce(to_jsonb(history) ->> 'serves', revision) as serves
  from migrations.history order by revision, id desc
"""
_CONNECT_TIMEOUT_S: Final = 5
_LOCK: Final = 0x766F6C74_6D696772
_LOCK_WAIT_S: Final = 60
_LOCK_POLL_S: Final = 0.2


class MigrationRuns(Unavailable):
    """Another process migrates this database just now."""

    title = "The database is being migrated"


@dataclass(frozen=True)
class Step:
    """One script and what became of it. `is_changed`: the file differs from what was applied."""

    revision: str
    name: str
    applied_at: datetime | None
    who: str | None
    is_changed: bool


def status(url: str) -> list[Step]:
    """Every script, oldest first, with what the database knows of it.

    Raises Misconfigured if the database has scripts that this Voltpay does not know, unless they
    say that they serve it all the same: a release beside a newer one.
    """
    return _steps_of(asyncio.run(_fetched(url)))


def newer_than_this(url: str) -> list[str]:
    """Revisions of the database that this Voltpay does not know, oldest first.

    Raises Misconfigured unless each of them serves it.
    """
    rows = asyncio.run(_fetched(url))
    _steps_of(rows)
    return sorted(_newer(rows))


def needs_migration(url: str) -> bool:
    """Whether scripts wait to be applied. Raises Misconfigured as `status` does."""
    return any(step.applied_at is None for step in status(url))


async def connected(url: str) -> asyncpg.Connection:
    """A connection on which a lock is waited for up to 30 seconds."""
    settings = {
        "application_name": "voltpay:migrate",
        "lock_timeout": "30s",
        "idle_in_transaction_session_timeout": "0",
    }
    async with translated():
        return await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT_S, server_settings=settings)


@asynccontextmanager
async def alone(url: str) -> AsyncIterator[None]:
    """Keep other migrators of the database away, and the history at hand and as it was applied.

    Raises MigrationRuns after a minute of waiting, Misconfigured if the files are not those that
    were applied, or not all of them.
    """
    connection = await connected(url)
    try:
        async with translated():
            await _lock(connection)
            rows = await _fetch(connection)
            _refuse_changed(_steps_of(rows))
            if newer := _newer(rows):
                raise _too_new(max(newer))
            await connection.execute(_MAKE)
        yield
    finally:
        await connection.close()


def whoami() -> str:
    """The user and machine that migrate, for the history."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


async def _fetched(url: str) -> Sequence[Row]:
    connection = await connected(url)
    try:
        async with translated():
            return await _fetch(connection)
    finally:
        await connection.close()


async def _fetch(connection: asyncpg.Connection) -> Sequence[Row]:
    if await connection.fetchval("select to_regclass('migrations.history')") is None:
        return []
    return await connection.fetch(_HELD)


async def _lock(connection: asyncpg.Connection) -> None:
    clock = asyncio.get_running_loop()
    deadline_s = clock.time() + _LOCK_WAIT_S
    while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
        if clock.time() > deadline_s:
            raise MigrationRuns("another process migrates this database")
        await asyncio.sleep(_LOCK_POLL_S)


def _applied(rows: Sequence[Row]) -> dict[str, Row]:
    return {row["revision"]: row for row in rows if row["direction"] == "up"}


def _newer(rows: Sequence[Row]) -> set[str]:
    return _applied(rows).keys() - {script.revision for script in scripts()}


def _too_new(revision: str) -> Misconfigured:
    return Misconfigured(
        f"the data is of a newer schema ({revision}) than this Voltpay knows", "upgrade voltpay"
    )


def _steps_of(rows: Sequence[Row]) -> list[Step]:
    """Scripts beside the last row of each in the database's history."""
    applied = _applied(rows)
    known = scripts()
    for revision in sorted(_newer(rows), reverse=True):
        if applied[revision]["serves"] > known[-1].revision:
            raise _too_new(revision)
    steps = []
    for script in known:
        row = applied.get(script.revision)
        is_changed = row is not None and row["checksum"] != script.checksum("up")
        at, who = (row["at"], row["who"]) if row is not None else (None, None)
        steps.append(Step(script.revision, script.name, at, who, is_changed))
    return steps


def _refuse_changed(steps: Sequence[Step]) -> None:
    """Raise Misconfigured if a script was edited after it had been applied."""
    for step in steps:
        if step.is_changed:
            raise Misconfigured(
                f"{step.revision}_{step.name}.up.sql was changed after it was applied",
                "restore the file, and put the change into a new one",
            )
