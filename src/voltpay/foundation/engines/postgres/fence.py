"""The fence: partitions are owned by advisory locks of the very connection that writes.

A writer that lost its connection lost its locks and its transaction in the same instant, so
whoever takes the locks next never meets a late commit of the one before.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from voltpay.core.errors import Broken, Unavailable
from voltpay.foundation.engines.postgres.pool import DatabaseAway, Postgres, Session

# A machine that vanished keeps its locks until its peer notices: 20 s instead of two hours.
# Without sequential scans a plan made while a day was empty still uses its key when it is full.
_SETUP: Final = """
set synchronous_commit = on;
set lock_timeout = '2s';
set idle_in_transaction_session_timeout = '30s';
set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
set enable_seqscan = off;
"""
_LOCK: Final = """
select partition from unnest($2::integer[]) as wanted (partition)
 where pg_try_advisory_lock($1::integer, partition)
"""
_UNLOCK: Final = """
select pg_advisory_unlock($1::integer, partition) from unnest($2::integer[]) as held (partition)
"""

log = structlog.get_logger()


class FenceLost(Unavailable):
    """This writer does not own the partition (any more): it owns it again before it writes."""

    title = "The partition is not owned by this writer"


class Fence:
    """One dedicated connection and the partitions that its locks own; one user at a time.

    `lock_class` is the first key of the advisory locks, one a stage; the second is the partition.
    """

    def __init__(self, database: Postgres, lock_class: int) -> None:
        self._database = database
        self._lock_class = lock_class
        self._session: Session | None = None
        self._owned: set[int] = set()
        self._in_use = asyncio.Lock()

    async def own(self, partitions: Iterable[int]) -> frozenset[int]:
        """Lock these partitions; gives those that are owned now, never waits for another owner.

        Raises Unavailable; nothing is owned then.
        """
        wanted = frozenset(partitions)
        async with self._in_use, self._dropped_on_error():
            session = await self._connected()
            rows = await session.fetch(_LOCK, self._lock_class, sorted(wanted - self._owned))
            self._owned.update(row["partition"] for row in rows)
            return wanted & self._owned

    async def release(self, partitions: Iterable[int]) -> None:
        """Give these partitions back, after the transaction under way."""
        async with self._in_use:
            going = self._owned & set(partitions)
            self._owned -= going
            if self._session is None:
                return
            try:
                await self._session.fetch(_UNLOCK, self._lock_class, sorted(going))
            except DatabaseAway:
                await self._drop()
            if not self._owned:
                await self._drop()

    @asynccontextmanager
    async def writing(self, partitions: Iterable[int]) -> AsyncIterator[Session]:
        """The connection that holds the locks of these partitions. Raises FenceLost."""
        async with self._in_use, self._dropped_on_error():
            missing = set(partitions) - self._owned
            if self._session is None or missing:
                raise FenceLost(f"partitions {sorted(missing)} are not owned")
            yield self._session

    async def close(self) -> None:
        """Give everything back."""
        async with self._in_use:
            await self._drop()

    async def _connected(self) -> Session:
        if self._session is None:
            session = await self._database.dedicated()
            try:
                await session.execute(_SETUP)
            except BaseException:
                await session.close()
                raise
            self._session = session
        return self._session

    @asynccontextmanager
    async def _dropped_on_error(self) -> AsyncIterator[None]:
        # A refused statement leaves a good connection; after anything else, a timeout or a
        # cancelled task, what the connection does is unknown, and a new one costs milliseconds.
        try:
            yield
        except (Broken, FenceLost):
            raise
        except BaseException as error:
            if self._owned:
                kind = type(error).__name__
                log.warning("ledger.fence_lost", owned=len(self._owned), error=kind)
            await self._drop()
            raise

    async def _drop(self) -> None:
        self._owned.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None
