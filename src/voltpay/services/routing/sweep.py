"""Sweep: publish again what was settled and never seen in the ledger, whatever swallowed it.

Repeat safe: the ledger knows a payment that it has, and routing an attempt that stands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Final, Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter

from voltpay.core.messages import Message, PaymentDeferred
from voltpay.foundation.runtime.stages import Publisher
from voltpay.foundation.seams.log import Log
from voltpay.services.routing.attempts import AttemptKey, AttemptRow, AttemptState, settled_of
from voltpay.services.routing.settings import SweepSettings

log = structlog.get_logger()

PostedAmong = Callable[[Sequence[tuple[UUID, int]]], Awaitable[set[UUID]]]
"""Which of these payments (id, requestedAt in milliseconds) the ledger has."""

_BATCHES_MAX: Final = 200
_RESTS: Final = 4
"""So many times as long as a batch took is before the next: a safety net is in no hurry."""
_REST_MAX_S: Final = 1.0
"""But not longer: a role that is to stop waits for it."""
_SWEPT = Counter("voltpay_routing_swept", "Attempts looked at by the sweeper", ["found"])


class SweepStore(Protocol):
    """What the sweeper asks of the store."""

    async def unposted(self, count: int) -> Sequence[AttemptRow]:
        """Settled and absent attempts that are due to be looked at."""
        ...

    async def mark_posted(self, keys: Sequence[AttemptKey]) -> None:
        """They were carried on: no need to look again."""
        ...

    async def sweep_later(self, keys: Sequence[AttemptKey], after_ms: int) -> None:
        """Look again after that long, twice as long each time."""
        ...


class Sweep:
    """One run marks what the ledger has, and publishes the rest again."""

    def __init__(
        self,
        store: SweepStore,
        log: Log,
        publisher: Publisher,
        posted_among: PostedAmong,
        settings: SweepSettings,
    ) -> None:
        self._store = store
        self._log = log
        self._publisher = publisher
        self._posted_among = posted_among
        self._settings = settings

    async def __call__(self) -> None:
        """Look at all that is due, a batch a time. Raises Unavailable."""
        for _ in range(_BATCHES_MAX):
            began_s = perf_counter()
            rows = await self._store.unposted(self._settings.batch)
            if rows:
                await self._batch(rows)
            if len(rows) < self._settings.batch:
                return
            await asyncio.sleep(min(_REST_MAX_S, _RESTS * (perf_counter() - began_s)))

    async def _batch(self, rows: Sequence[AttemptRow]) -> None:
        settled = [row for row in rows if row.state is not AttemptState.ABSENT]
        absent = [row for row in rows if row.state is AttemptState.ABSENT]
        pairs = [(row.payment.id, row.requested_at_ms) for row in settled]
        posted = await self._posted_among(pairs) if pairs else set()
        missing = [row for row in settled if row.payment.id not in posted]
        await self._publish(missing, absent)
        done = [row for row in settled if row.payment.id in posted]
        await self._store.mark_posted(_keys([*done, *absent]))
        await self._store.sweep_later(_keys(missing), self._settings.after_ms)
        _SWEPT.labels("posted").inc(len(done))
        _SWEPT.labels("missing").inc(len(missing) + len(absent))

    async def _publish(self, missing: Sequence[AttemptRow], absent: Sequence[AttemptRow]) -> None:
        messages: list[Message] = [settled_of(row) for row in missing]
        messages += [PaymentDeferred(row.payment, "absent") for row in absent]
        if messages:
            await self._log.append(self._publisher(messages))
            log.warning("routing.published_again", settled=len(missing), absent=len(absent))


def _keys(rows: Sequence[AttemptRow]) -> list[AttemptKey]:
    return [AttemptKey(row.payment.id, row.number) for row in rows]
