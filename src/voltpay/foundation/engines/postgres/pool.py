"""Connections to PostgreSQL, opened when first needed and bounded in number."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import asyncpg

from voltpay.core.errors import Broken, Unavailable

Row = asyncpg.Record

_AWAY: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_REFUSALS: Final = ("22", "23")
"""SQLSTATE classes that the same statement meets again: bad values, violated constraints."""

_SETTINGS: Final = {
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Whatever the server's defaults: commits are durable, and a dead peer is noticed in 20 s."""


class DatabaseAway(Unavailable):
    """PostgreSQL cannot be reached, is starting or stopping, or has no room."""

    slug = "database-away"
    title = "The database is away"


class DatabaseRefused(Broken):
    """PostgreSQL refused a statement: a constraint or a defect of ours."""

    def __init__(self, detail: str, constraint: str | None) -> None:
        super().__init__(detail)
        self.constraint = constraint


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Raise DatabaseAway or DatabaseRefused for what the driver raises inside.

    Refused is only what no waiting mends. A read-only standby, a rotated password, a schema that
    is behind: a person mends those, and what waits for it must not be buried meanwhile.
    """
    try:
        yield
    except _AWAY as error:
        # The driver's own refusal of a value is an InterfaceError, too: that is never mended by
        # waiting.
        if isinstance(error, ValueError):
            raise DatabaseRefused(f"PostgreSQL: {error}", None) from error
        raise DatabaseAway(f"PostgreSQL: {type(error).__name__}: {error}") from error
    except asyncpg.PostgresError as error:
        if not str(error.sqlstate or "").startswith(_REFUSALS):
            raise DatabaseAway(f"PostgreSQL: {type(error).__name__}: {error}") from error
        constraint = getattr(error, "constraint_name", None)
        raise DatabaseRefused(f"PostgreSQL: {type(error).__name__}: {error}", constraint) from error


# The driver's own reset is a round trip after every use. Nobody leaves anything behind on a pooled
# connection: locks and settings are for `dedicated` ones.
async def _as_it_is(_: object) -> None:
    return


class Session:
    """One connection, inside or outside a transaction. Rows come back as mappings."""

    # asyncpg hands out a proxy that is no Connection by type, so neither is narrowed here.
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]:
        """All rows of a statement."""
        async with translated():
            rows: Sequence[Row] = await self._connection.fetch(sql, *values)
            return rows

    async def fetch_value(self, sql: str, *values: object) -> object:
        """First column of the first row; None if there is no row."""
        async with translated():
            value: object = await self._connection.fetchval(sql, *values)
            return value

    async def execute(self, sql: str, *values: object) -> str:
        """Run a statement, or a script of several if there are no values; gives its tag."""
        async with translated():
            tag: str = await self._connection.execute(sql, *values)
            return tag

    async def copy(
        self, schema: str, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        """Append rows by binary COPY."""
        async with translated():
            await self._connection.copy_records_to_table(
                table, schema_name=schema, columns=columns, records=rows
            )

    @asynccontextmanager
    async def transaction(self, isolation: str = "read_committed") -> AsyncIterator["Session"]:
        """Commit on leaving, roll back on an error. A lost COMMIT raises DatabaseAway: unknown."""
        async with translated(), self._connection.transaction(isolation=isolation):
            yield self

    async def rows_of(self, sql: str, *values: object) -> AsyncIterator[Row]:
        """Rows one by one through a cursor, inside a transaction of its own."""
        async with translated(), self._connection.transaction(readonly=True):
            async for row in self._connection.cursor(sql, *values, prefetch=1000):
                yield row

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone, as far as the driver knows."""
        return bool(self._connection.is_closed())

    async def close(self) -> None:
        """Close it without waiting for a peer that is gone."""
        self._connection.terminate()


class Readable(Protocol):
    """Where questions are asked: one database, or a primary and its standbys."""

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]:
        """All rows of one statement."""
        ...

    async def fetch_value(self, sql: str, *values: object) -> object:
        """First column of the first row; None if there is no row."""
        ...


class Postgres:
    """A bounded pool on one PostgreSQL, opened at the first use, so roles start in any order.

    `timeout_ms` bounds one statement; a statement that passes it raises DatabaseAway.
    """

    def __init__(self, url: str, *, name: str, size_max: int = 4, timeout_ms: int = 10_000) -> None:
        self.url = url
        self._name = name
        self._size_max = size_max
        self._timeout_s = timeout_ms / 1000
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool[Row] | None = None

    async def _opened(self) -> "asyncpg.Pool[Row]":
        async with self._opening:
            if self._pool is None:
                self._pool = await self._made()
            return self._pool

    async def _made(self) -> "asyncpg.Pool[Row]":
        async with translated():
            opened = await asyncpg.create_pool(
                self.url,
                min_size=0,
                max_size=self._size_max,
                command_timeout=self._timeout_s,
                timeout=5,
                server_settings={"application_name": self._name, **_SETTINGS},
                reset=_as_it_is,
            )
            assert opened is not None
            return opened

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A connection of the pool, given back afterwards."""
        pool = await self._opened()
        async with translated(), pool.acquire(timeout=self._timeout_s) as connection:
            yield Session(connection)

    @asynccontextmanager
    async def transaction(self, isolation: str = "read_committed") -> AsyncIterator[Session]:
        """A connection of the pool inside a transaction."""
        async with self.session() as session, session.transaction(isolation):
            yield session

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]:
        """All rows of one statement, on any connection of the pool."""
        async with self.session() as session:
            return await session.fetch(sql, *values)

    async def fetch_value(self, sql: str, *values: object) -> object:
        """First column of the first row; None if there is no row."""
        async with self.session() as session:
            return await session.fetch_value(sql, *values)

    async def execute(self, sql: str, *values: object) -> str:
        """Run one statement; gives its tag."""
        async with self.session() as session:
            return await session.execute(sql, *values)

    async def dedicated(self) -> Session:
        """A connection of one's own, outside the pool: for advisory locks. Close it yourself."""
        async with translated():
            connection = await asyncpg.connect(
                self.url,
                timeout=5,
                command_timeout=self._timeout_s,
                server_settings={"application_name": self._name, **_SETTINGS},
            )
            return Session(connection)

    async def close(self) -> None:
        """Close all connections at once."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None
