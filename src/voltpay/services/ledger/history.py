"""What the books remember: every posted fact for a rebuild, and which attempts are posted."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct

from voltpay.core.codec import Unreadable, decode
from voltpay.core.ids import PaymentId
from voltpay.core.messages import PaymentPosted, PaymentSettled
from voltpay.foundation.engines.postgres.pool import Row
from voltpay.services.ledger.entries import FactKey, day_of, ms_of, time_of
from voltpay.services.ledger.store import Span

_CHUNK: Final = 1000


class HistoryStore(Protocol):
    """The books, as history reads them."""

    async def spans(self) -> Sequence[Span]:
        """What each day holds."""
        ...

    def payments_of(
        self, days: Sequence[date], start: datetime, end: datetime
    ) -> AsyncIterator[Row]:
        """`settled, sequence, posted_at, partition` of what was posted in [start, end).

        In the order of posting.
        """
        ...

    async def known_of(self, keys: Sequence[FactKey]) -> set[FactKey]:
        """Which of these facts are posted."""
        ...


class Window(Struct, frozen=True):
    """The days whose payments were posted, some of them, between `start` and `end`."""

    start: datetime
    end: datetime
    days: tuple[date, ...]


async def facts(store: HistoryStore, since_ms: int = 0) -> AsyncIterator[Sequence[PaymentPosted]]:
    """Every fact posted at or after `since_ms`, in the order of posting.

    So every account's sequence grows. In chunks. Sequence, time and partition are those of the
    first posting; position is 0. What is posted meanwhile may be missing: it comes by
    payment.posted after the positions that the caller noted before. A payment's day is not the
    day it was posted on, so this goes by windows of posting time and sorts no more than one of
    them at a time.
    """
    chunk: list[PaymentPosted] = []
    since = time_of(since_ms)
    for window in windows_of(await store.spans()):
        if window.end <= since:
            continue
        async for row in store.payments_of(window.days, max(window.start, since), window.end):
            chunk.append(_posted(row))
            if len(chunk) == _CHUNK:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def windows_of(spans: Iterable[Span]) -> Sequence[Window]:
    """One window a UTC day of posting, in order, with the days of payments that reach into it."""
    days: dict[date, set[date]] = {}
    for span in spans:
        posted_on = span.first.astimezone(UTC).date()
        while posted_on <= span.last.astimezone(UTC).date():
            days.setdefault(posted_on, set()).add(span.day)
            posted_on += timedelta(days=1)
    return [_window(posted_on, days[posted_on]) for posted_on in sorted(days)]


def _window(posted_on: date, days: set[date]) -> Window:
    start = datetime(posted_on.year, posted_on.month, posted_on.day, tzinfo=UTC)
    return Window(start, start + timedelta(days=1), tuple(sorted(days)))


def _posted(row: Row) -> PaymentPosted:
    settled = decode(row["settled"])
    if not isinstance(settled, PaymentSettled):
        raise Unreadable("a payment's row holds no settled fact")
    return PaymentPosted(settled, row["sequence"], ms_of(row["posted_at"]), row["partition"], 0)


async def posted_among(store: HistoryStore, attempts: Sequence[tuple[UUID, int]]) -> set[UUID]:
    """Which of these payments, each with its attempt's `requested_at_ms`, are posted."""
    keys = [(PaymentId(payment_id), day_of(at_ms)) for payment_id, at_ms in attempts]
    return {payment_id for payment_id, _ in await store.known_of(keys)} if keys else set()
