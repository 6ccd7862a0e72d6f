"""Stores that add up, filled by the stages themselves, and a hand that alters them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.inquiry.stand import opened, stand_on
from tests.inquiry.stand import taken as taken_by_inquiry
from tests.ledger.books import DAY, Books, settled
from tests.ledger.books import opened as opened_books
from tests.reconciliation.altering import altering

from voltpay.core.messages import PaymentSettled
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.processors.seam import Booked
from voltpay.services.reconciliation.compare import compare
from voltpay.services.reconciliation.gather import gather
from voltpay.services.reconciliation.sources import Lane, Sources, Window
from voltpay.services.reconciliation.verdict import Verdict

_ATTEMPT = """
insert into routing.attempt (payment_id, number, processor, amount_minor, currency, fingerprint,
    payment, requested_at, state, owner, lease_until, explanation, posted, epoch)
values ($1, 1, $2, $3, 'EUR', '', '', to_timestamp($4 / 1000.0), $5, 'test', now(), '{}', true, 0)
"""


class Stores:
    """A database with everything in it, processors' journals, and backlogs that a test sets."""

    def __init__(self, url: str) -> None:
        self.waiting = {"payment.settled": 0, "payment.posted": 0}
        self.facts: list[PaymentSettled] = []
        self._database = Postgres(url, name="alter", size_max=1)
        self._url = url

    async def fill(self, books: Books, project: Any) -> None:
        """Four payments of two accounts, one of them declined, through ledger and projection."""
        self.facts = [
            settled("alice", 1990, fee_minor=100),
            settled("alice", 500, fee_minor=75, processor="fallback"),
            settled("bob", 700, fee_minor=35),
            settled("bob", 900, fee_minor=0, executed=False),
        ]
        posted = await books.post(self.facts)
        await project(taken_by_inquiry(posted))
        for fact in self.facts:
            state = "executed" if fact.executed else "declined"
            values = (fact.payment.amount_minor, fact.attempt.requested_at_ms, state)
            name = fact.attempt.processor
            await self._database.execute(_ATTEMPT, fact.payment.id, name, *values)

    @property
    def ids(self) -> list[str]:
        """Of the payments."""
        return [str(fact.payment.id) for fact in self.facts]

    async def alter(self, sql: str, **names: object) -> None:
        """Change what nobody may change."""
        await self._database.execute(altering(sql.format(**names)))

    async def verdict(self, window: Window = Window()) -> Verdict:  # noqa: B008
        """What reconciliation says."""
        database = Postgres(self._url, name="reconcile", size_max=1)
        lanes = {name: Lane(_gives(count), _no_pages) for name, count in self.waiting.items()}
        sources = Sources(
            database,
            {"default": self._journal("default"), "fallback": self._journal("fallback")},
            lanes,
            _no_pages,
            _tells_nothing,
        )
        try:
            return compare(await gather(sources, window), is_drained=False)
        finally:
            await database.close()

    async def found(self, window: Window = Window()) -> set[tuple[str, str]]:  # noqa: B008
        """(kind, who) of all differences."""
        verdict = await self.verdict(window)
        return {(each.what, each.who) for each in verdict.differences}

    async def close(self) -> None:
        """Give the connection back."""
        await self._database.close()

    def _journal(self, name: str) -> Any:
        async def pages(from_ms: int, to_ms: int) -> AsyncIterator[Sequence[Booked]]:
            for fact in self.facts:
                at_ms = fact.attempt.requested_at_ms
                is_there = fact.executed and fact.attempt.processor == name
                if is_there and from_ms <= at_ms <= to_ms:
                    yield [Booked(fact.payment.id, fact.payment.amount_minor, at_ms)]

        return pages


async def _no_pages() -> AsyncIterator[Any]:
    for page in ():
        yield page


async def _tells_nothing(_from_ms: int, _to_ms: int) -> None:
    """No summary is complete here: they are compared over whole installations."""


def _gives(count: int) -> Any:
    async def backlog() -> int:
        return count

    return backlog


@asynccontextmanager
async def filled(database_url: str, log_url: str, cache_url: str) -> AsyncIterator[Stores]:
    """Stores that add up."""
    stores = Stores(database_url)
    async with (
        opened_books(database_url) as books,
        opened(database_url, log_url, cache_url) as engines,
    ):
        stand = stand_on(engines)
        await books.store.prepare_day(DAY)
        await stand.project.own(range(4))
        await stores.fill(books, stand.project)
        await stand.inquiry.part.close()
    try:
        yield stores
    finally:
        await stores.close()
