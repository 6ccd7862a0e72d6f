"""Crowds of clients that cost little: prebuilt requests on raw connections, answers counted.

A *closed* crowd sends the next request when the last was answered: it finds the limit. An *open*
one sends at its rate whatever comes back, and counts from when a request was due: a server that
stalls is charged for all who had to wait (no coordinated omission).
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from time import perf_counter

from msgspec import Struct

from voltpay.cli.bench.lines import LOST, Line, Tally, connected
from voltpay.cli.bench.moments import at
from voltpay.cli.bench.requests import Requests


class Burst(Struct, frozen=True):
    """What a crowd got: answers by status, and each answer's milliseconds in order of size."""

    seconds: float
    statuses: dict[int, int]
    latencies_ms: Sequence[float]

    def count(self, status: int) -> int:
        """How many answers had this status."""
        return self.statuses.get(status, 0)

    def per_s(self, status: int) -> float:
        """Answers of this status a second."""
        return self.count(status) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """That percentile of the answers' times."""
        ordered = self.latencies_ms
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def closed(url: str, requests: Requests, *, clients: int, seconds: float) -> Burst:
    """Let so many clients ask for so long, each with one request at a time."""
    tally = Tally()
    end = perf_counter() + seconds

    def next_request() -> tuple[bytes, float] | None:
        now = perf_counter()
        return (next(requests), now) if now < end else None

    began = perf_counter()
    async with connected(url, clients, next_request, tally) as lines:
        for line in lines:
            line.go_on()
        await asyncio.gather(*(line.idle.wait() for line in lines))
    return _burst_of(tally, perf_counter() - began)


async def opened(
    url: str, requests: Requests, moments: Iterable[float], *, clients: int = 64
) -> Burst:
    """Send a request at each of these moments, on `clients` connections in turn.

    One that the server closed because nothing was asked on it is opened again when it is needed. A
    thread keeps the time: an event loop's timers are a millisecond off, as what is measured is.
    """
    tally = Tally()
    due: deque[float] = deque()

    def next_request() -> tuple[bytes, float] | None:
        return (next(requests), due.popleft()) if due else None

    async with connected(url, clients, next_request, tally) as lines:
        turns = deque(lines)

        def on_due(at: float) -> None:
            due.append(at)
            _ask_next(turns)

        began = perf_counter()
        await at(moments, began, on_due)
        await asyncio.gather(*(line.idle.wait() for line in lines))
        tally.statuses[LOST] += len(due)
        return _burst_of(tally, perf_counter() - began)


def _ask_next(turns: deque[Line]) -> None:
    """On the connection that was used least lately, as clients do that come one by one."""
    for _ in range(len(turns)):
        turns.rotate(-1)
        if turns[-1].idle.is_set():
            turns[-1].ask()
            return


def _burst_of(tally: Tally, seconds: float) -> Burst:
    return Burst(seconds, dict(tally.statuses), sorted(1000 * one for one in tally.latencies))
