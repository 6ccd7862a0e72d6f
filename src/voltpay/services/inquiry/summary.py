"""The summary: executed payments by processor in any window, exact a moment after they settled."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct
from prometheus_client import Counter

from voltpay.core.errors import Unavailable
from voltpay.foundation.runtime.group_commit import GroupCommit
from voltpay.foundation.seams.clock import Clock
from voltpay.services.inquiry.cached import Bound
from voltpay.services.inquiry.cover import cover
from voltpay.services.inquiry.rows import Total, Totals
from voltpay.services.inquiry.settings import InquirySettings
from voltpay.services.inquiry.store import Reader
from voltpay.services.inquiry.views import major
from voltpay.services.inquiry.window import Window

_INCOMPLETE = Counter(
    "voltpay_summary_incomplete_total", "Summaries that could not await the projection"
)
_NOTHING = Total(0, 0)

SettledEnds = Callable[[], Awaitable[Mapping[int, int]]]
"""Position of the last record of payment.settled by partition."""


class ProcessorTotal(Struct, frozen=True, rename="camel"):
    """Executed payments of one processor; the amount in major units."""

    total_requests: int
    total_amount: Decimal


class Summed(Struct, frozen=True):
    """Totals by processor; complete if all that had settled when it was asked is in them."""

    processors: Mapping[str, ProcessorTotal]
    is_complete: bool


class Summary:
    """Counts one currency. Every configured processor is named, also with nothing."""

    def __init__(
        self,
        reader: Reader,
        settled_ends: SettledEnds,
        clock: Clock,
        bound: Bound,
        settings: InquirySettings,
        processors: Sequence[str],
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._bound = bound
        self._settings = settings
        self._processors = processors
        self._ends = _shared(settled_ends)
        self._progress = _shared(reader.progress)

    async def __call__(self, window: Window, currency: str) -> Summed:
        """The totals of a window, after waiting for the projection as long as is allowed."""
        found, is_complete = await self.totals(window, currency)
        return Summed({name: _of(total, currency) for name, total in found.items()}, is_complete)

    async def totals(self, window: Window, currency: str) -> tuple[Mapping[str, Total], bool]:
        """The same in minor units, and whether it is complete."""
        deadline_ms = self._clock.monotonic_ms() + self._settings.summary_wait_max_ms
        ends = await self._noted_ends()
        totals = await self._totals(window, currency, ends, deadline_ms)
        is_complete = ends is not None and _has_passed(totals.progress, ends)
        if not is_complete:
            _INCOMPLETE.inc()
        return dict.fromkeys(self._processors, _NOTHING) | dict(totals.by_processor), is_complete

    async def _noted_ends(self) -> Mapping[int, int] | None:
        try:
            return await self._ends(None)
        except Unavailable:
            return None

    async def _totals(
        self, window: Window, currency: str, ends: Mapping[int, int] | None, deadline_ms: int
    ) -> Totals:
        """Waits on the small table, yet trusts only the progress of the totals' own snapshot."""
        spans = cover(window)
        while True:
            if ends is not None:
                await self._wait(ends, deadline_ms)
            with self._bound():
                totals = await self._reader.totals(currency, spans)
            if ends is None or _has_passed(totals.progress, ends):
                return totals
            if self._clock.monotonic_ms() >= deadline_ms:
                return totals

    async def _wait(self, ends: Mapping[int, int], deadline_ms: int) -> None:
        while not _has_passed(await self._progress(None), ends):
            if self._clock.monotonic_ms() >= deadline_ms:
                return
            await asyncio.sleep(self._settings.summary_poll_ms / 1000)


def _shared(
    look: Callable[[], Awaitable[Mapping[int, int]]],
) -> GroupCommit[None, Mapping[int, int]]:
    """One look for all who wait for it; whoever asks during a look gets the next one."""

    async def for_all(callers: Sequence[None]) -> Sequence[Mapping[int, int]]:
        return [await look()] * len(callers)

    return GroupCommit(for_all, group_max=4096)


def _has_passed(progress: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    return all(progress.get(partition, 0) >= end for partition, end in ends.items())


def _of(total: Total, currency: str) -> ProcessorTotal:
    return ProcessorTotal(total.count, major(total.amount_minor, currency))
