"""Where the evidence comes from, and the windows of time that are asked for."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct

from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.services.reconciliation.evidence import Tally

_FAR_FUTURE_MS: Final = 253_402_300_799_999
_WINDOWS: Final = 24


class Window(Struct, frozen=True):
    """Payments by requestedAt, UTC milliseconds, both ends inclusive."""

    from_ms: int = 0
    to_ms: int = _FAR_FUTURE_MS


class Statement(Protocol):
    """A processor's journal line."""

    @property
    def payment_id(self) -> UUID:
        """Whose execution it is."""
        ...

    @property
    def amount_minor(self) -> int:
        """Minor units."""
        ...

    @property
    def requested_at_ms(self) -> int:
        """UTC milliseconds, as the processor booked it."""
        ...


Journal = Callable[[int, int], AsyncIterator[Sequence[Statement]]]
"""A processor's own journal between two times, inclusive, page by page."""


class Lane(Struct, frozen=True):
    """A topic and a group that reads it: how many records it has not finished, and their bodies."""

    backlog: Callable[[], Awaitable[int]]
    unfinished: Callable[[], AsyncIterator[Sequence[bytes]]]


class Summaries(Protocol):
    """Our own answer for a window, by processor; None when it could not be complete."""

    def __call__(self, from_ms: int, to_ms: int) -> Awaitable[Mapping[str, Tally] | None]:
        """Of one currency; processors of another one are left out."""
        ...


class Sources(Struct, frozen=True):
    """Where the evidence comes from: journals and lanes of the log by name, and everything else."""

    database: Postgres
    journals: Mapping[str, Journal]
    lanes: Mapping[str, Lane]
    promised: Callable[[], AsyncIterator[Sequence[UUID]]]
    summaries: Summaries


def windows_among(times: Sequence[int], window: Window) -> Sequence[tuple[int, int]]:
    """Windows that begin and end at, just before or just after executions; the same every time."""
    if not times:
        return ()
    chance = random.Random(len(times))  # noqa: S311
    drawn = [sorted(chance.choices(times, k=2)) for _ in range(_WINDOWS)]
    edges = [(first + chance.randint(-1, 1), last + chance.randint(-1, 1)) for first, last in drawn]
    bounded = [(max(first, window.from_ms), min(last, window.to_ms)) for first, last in edges]
    return [(first, last) for first, last in bounded if first <= last]
