"""Rebuild the read model from the ledger's facts, while it goes on answering and projecting."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol

import structlog

from voltpay.core.errors import Rejected, Unavailable
from voltpay.core.messages import PaymentPosted
from voltpay.foundation.engines.postgres.pool import DatabaseAway, Postgres, Session
from voltpay.foundation.seams.clock import Clock
from voltpay.services.inquiry import store

_SWAP_TRIES: Final = 5

log = structlog.get_logger()


class RebuildRuns(Rejected):
    """Another rebuild is at work."""

    status = 409
    title = "Another rebuild is at work"


class PurgedMeanwhile(Unavailable):
    """The installation was purged during the rebuild: begin again."""

    title = "The installation was purged meanwhile"


class FactsSince(Protocol):
    """The ledger's posted facts. Filled by the ledger."""

    def __call__(self, since_ms: int) -> AsyncIterator[Sequence[PaymentPosted]]:
        """All facts posted at or after `since_ms` (0: all), in batches, in any order.

        Partition is that of the settled message. More than asked for is harmless.
        """
        ...


class Rebuild:
    """Fills new tables, catches up, then swaps them in; the projection pauses for the swap alone.

    The end is the fold of the facts, whoever brings one: a payment is inserted once.
    """

    def __init__(self, database: Postgres, clock: Clock, margin_ms: int) -> None:
        self._database = database
        self._clock = clock
        self._margin_ms = margin_ms

    async def __call__(self, facts: FactsSince, progress: Callable[[int], None]) -> int:
        """Gives how many payments the new read model has; tells `progress` as they are read.

        Raises RebuildRuns, PurgedMeanwhile.
        """
        session = await self._database.dedicated()
        try:
            epoch = await store.begin_rebuild(session)
            if epoch is None:
                raise RebuildRuns("another rebuild is at work; wait for it")
            count = await self._filled(session, facts, epoch, progress)
        finally:
            await session.close()
        log.info("inquiry.rebuilt", count=count)
        return count

    async def _filled(
        self, session: Session, facts: FactsSince, epoch: int, progress: Callable[[int], None]
    ) -> int:
        since_ms = self._clock.now_ms() - self._margin_ms
        count = await _fill(session, facts(0), 0, progress)
        tries_left = _SWAP_TRIES
        while True:
            tries_left -= 1
            again_ms = self._clock.now_ms() - self._margin_ms
            count = await _fill(session, facts(since_ms), count, progress)
            since_ms = again_ms
            try:
                return await _swap(session, facts(since_ms), count, epoch, progress)
            except DatabaseAway:
                # A long question holds the old tables: let it finish, then catch up again.
                if session.is_closed or not tries_left:
                    raise


async def _swap(
    session: Session,
    rest: AsyncIterator[Sequence[PaymentPosted]],
    count: int,
    epoch: int,
    progress: Callable[[int], None],
) -> int:
    async with session.transaction():
        if await store.pause_projection(session) != epoch:
            raise PurgedMeanwhile("purged during the rebuild")
        count = await _fill(session, rest, count, progress)
        await store.swap(session)
    return count


async def _fill(
    session: Session,
    facts: AsyncIterator[Sequence[PaymentPosted]],
    count: int,
    progress: Callable[[int], None],
) -> int:
    async for batch in facts:
        if batch:
            count += await store.project_next(session, batch)
            progress(count)
    return count
