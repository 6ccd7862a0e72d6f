"""Post settled payments to the ledger, one balanced batch a call.

Reads payment.settled · Writes payment.posted · Needs LedgerStore
Repeat safe: an entry is known by (payment_id, kind of fact)
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog
from prometheus_client import Counter

from voltpay.core.errors import Broken
from voltpay.core.messages import Message, PaymentPosted, PaymentSettled
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.clock import Clock
from voltpay.services.ledger.entries import Entry, Posted, entry_of

log = structlog.get_logger()
POSTED = Counter("voltpay_ledger_posted_total", "Facts published as posted, repeats included")
OUTDATED = Counter("voltpay_ledger_outdated_total", "Settled payments dropped: before a purge")


class NotSettled(Broken):
    """The ledger was given a message that is no settled payment."""


class LedgerStore(Protocol):
    """The books, as posting needs them."""

    async def own(self, partitions: Iterable[int]) -> frozenset[int]:
        """Take these partitions for writing; gives those that it got, without waiting."""
        ...

    async def release(self, partitions: Iterable[int]) -> None:
        """Give them back."""
        ...

    async def post(self, entries: Sequence[Entry]) -> Sequence[Posted | None]:
        """Post what is not posted yet, in order, in one transaction; all or nothing.

        For every entry what its first posting gave, or None: older than the installation's
        epoch, dropped. Raises FenceLost unless all partitions are owned, UnbalancedEntry.
        """
        ...


class Post:
    """The stage: settled payments in, posted facts out, fresh or repeated."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def own(self, partitions: Iterable[int]) -> frozenset[int]:
        """Take these partitions for writing; gives those that it got."""
        return await self._store.own(partitions)

    async def release(self, partitions: Iterable[int]) -> None:
        """Give them back."""
        await self._store.release(partitions)

    async def __call__(self, batch: Sequence[Taken]) -> Sequence[Message]:
        """One posted fact a message, in order; none for what a purge made obsolete."""
        if not batch:
            return []
        began_ms = self._clock.monotonic_ms()
        entries = [_entry_of(taken) for taken in batch]
        results = await self._store.post(entries)
        facts = [
            PaymentPosted(entry.settled, *posted, taken.partition, taken.position)
            for entry, posted, taken in zip(entries, results, batch, strict=True)
            if posted is not None
        ]
        POSTED.inc(len(facts))
        OUTDATED.inc(len(batch) - len(facts))
        elapsed_ms = self._clock.monotonic_ms() - began_ms
        log.info("ledger.batch_posted", count=len(facts), of=len(batch), elapsed_ms=elapsed_ms)
        return facts


def _entry_of(taken: Taken) -> Entry:
    if not isinstance(taken.message, PaymentSettled):
        raise NotSettled(f"{type(taken.message).__name__} on {taken.topic}")
    return entry_of(taken.message, taken.partition, taken.position)
