"""Put the ledger together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

from voltpay.core.messages import PaymentPosted
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.postgres.pool import Session
from voltpay.foundation.runtime.parts import Part, Periodic
from voltpay.services.ledger import history
from voltpay.services.ledger.post import Post
from voltpay.services.ledger.retention import Retention
from voltpay.services.ledger.settings import LedgerSettings
from voltpay.services.ledger.store import PostgresLedger


class Facts(Protocol):
    """What the books remember, for a rebuild."""

    def __call__(self, since_ms: int) -> AsyncIterator[Sequence[PaymentPosted]]:
        """See `history.facts`."""
        ...


@dataclass(frozen=True)
class Ledger:
    """The ledger, and what it gives to other services and to commands.

    `posted_among` takes (payment id, requested_at_ms) of attempts; `facts` is every posted fact,
    and `estimate` about how many there are; `purge` empties the books within a transaction that
    raises the epoch, too.
    """

    part: Part
    posted_among: Callable[[Sequence[tuple[UUID, int]]], Awaitable[set[UUID]]]
    facts: Facts
    estimate: Callable[[], Awaitable[int]]
    purge: Callable[[Session], Awaitable[None]]
    prepare_days: Callable[[], Awaitable[None]]
    clean: Callable[[], Awaitable[None]]


def build(engines: Engines, settings: LedgerSettings) -> Ledger:
    """The ledger on these engines."""
    store = PostgresLedger(
        engines.primary("ledger", size_max=1, timeout_ms=settings.statement_timeout_ms),
        engines.primary("ledger-reader", size_max=2, timeout_ms=settings.scan_timeout_ms),
    )
    retention = Retention(store, engines.clock, settings)
    part = Part(
        stages={"post": Post(store, engines.clock)},
        periodics=[
            Periodic("ledger.prepare_days", settings.prepare_every_ms, retention.prepare_days),
            Periodic("ledger.clean", settings.clean_every_ms, retention.clean),
        ],
        close=store.close,
    )
    return Ledger(
        part,
        posted_among=partial(history.posted_among, store),
        facts=partial(history.facts, store),
        estimate=store.estimate,
        purge=store.purge,
        prepare_days=retention.prepare_days,
        clean=retention.clean,
    )
