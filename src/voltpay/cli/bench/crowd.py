"""Crowds of clients that cost little: prebuilt requests on raw connections, answers counted.

A *closed* crowd sends the next request when the last was answered: it finds the limit. An *open*
one sends at its rate whatever comes back, and counts from when a request was due: a server that
stalls is charged for all who had to wait (no coordinated omission).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Final, cast
from urllib.parse import urlsplit

from msgspec import Struct

from voltpay.cli.bench.moments import at
from voltpay.cli.bench.requests import Requests

_HEAD_ENDS: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_LOST: Final = 0
"""The status of a request without an answer."""


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
    tally = _Tally()
    end = perf_counter() + seconds

    def next_request() -> tuple[bytes, float] | None:
        now = perf_counter()
        return (next(requests), now) if now < end else None

    began = perf_counter()
    async with _connected(url, clients, next_request, tally) as lines:
        for line in lines:
            line.go_on()
        await asyncio.gather(*(line.idle.wait() for line in lines))
    return tally.burst(perf_counter() - began)


async def opened(
    url: str, requests: Requests, moments: Iterable[float], *, clients: int = 64
) -> Burst:
    """Send a request at each of these moments, on `clients` connections in turn.

    One that the server closed because nothing was asked on it is opened again when it is needed. A
    thread keeps the time: an event loop's timers are a millisecond off, as what is measured is.
    """
    tally = _Tally()
    due: deque[float] = deque()

    def next_request() -> tuple[bytes, float] | None:
        return (next(requests), due.popleft()) if due else None

    async with _connected(url, clients, next_request, tally) as lines:
        turns = deque(lines)

        def on_due(at: float) -> None:
            due.append(at)
            # The one that was asked on least lately, as clients that come one after the other.
            for _ in range(len(turns)):
                turns.rotate(-1)
                if turns[-1].idle.is_set():
                    turns[-1].ask()
                    return

        began = perf_counter()
        await at(moments, began, on_due)
        await asyncio.gather(*(line.idle.wait() for line in lines))
        tally.statuses[_LOST] += len(due)
        return tally.burst(perf_counter() - began)


class _Tally:
    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    def burst(self, seconds: float) -> Burst:
        return Burst(seconds, dict(self.statuses), sorted(1000 * one for one in self.latencies))


class _Line(asyncio.Protocol):
    """One connection; idle while it has nothing to ask."""

    def __init__(
        self,
        next_request: Callable[[], tuple[bytes, float] | None],
        tally: _Tally,
        connect: Callable[["_Line"], Coroutine[None, None, None]],
    ) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.transport: asyncio.WriteTransport | None = None
        self._next_request = next_request
        self._tally = tally
        self._connect = connect
        self._connecting: asyncio.Task[None] | None = None
        self._since = 0.0
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's own is one by its methods only.
        self.transport = cast("asyncio.WriteTransport", transport)

    def ask(self) -> None:
        """Ask the next, if need be on a connection anew."""
        if self.transport is not None:
            self.go_on()
        else:
            self.idle.clear()
            self._connecting = asyncio.create_task(self._connected_again())

    async def _connected_again(self) -> None:
        with suppress(OSError):
            await self._connect(self)
        self.go_on()

    def go_on(self) -> None:
        """Ask the next, if there is one."""
        asked = self._next_request() if self.transport else None
        if asked is None or self.transport is None:
            self.idle.set()
            return
        self.idle.clear()
        request, self._since = asked
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if _is_whole(self._held):
            self._tally.statuses[int(self._held[9:12])] += 1
            self._tally.latencies.append(perf_counter() - self._since)
            self._held = b""
            self.go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.transport = None
        if not self.idle.is_set():
            self._tally.statuses[_LOST] += 1
            self.idle.set()


def _is_whole(answer: bytes) -> bool:
    head, mark, body = answer.partition(_HEAD_ENDS)
    if not mark:
        return False
    length = head.lower().partition(_LENGTH)[2].partition(b"\r")[0]
    return len(body) >= int(length or 0)


class _connected:  # noqa: N801 - a context manager, used like a function
    """So many connections inside."""

    def __init__(
        self,
        url: str,
        clients: int,
        next_request: Callable[[], tuple[bytes, float] | None],
        tally: _Tally,
    ) -> None:
        self._url = urlsplit(url)
        self._clients = clients
        self._next_request = next_request
        self._tally = tally
        self._lines: list[_Line] = []

    async def __aenter__(self) -> list[_Line]:
        for _ in range(self._clients):
            line = _Line(self._next_request, self._tally, self._connect)
            await self._connect(line)
            self._lines.append(line)
        return self._lines

    async def _connect(self, line: _Line) -> None:
        host, port = self._url.hostname or "", self._url.port or 80
        await asyncio.get_running_loop().create_connection(lambda: line, host, port)

    async def __aexit__(self, *_: object) -> None:
        for line in self._lines:
            if line.transport is not None:
                line.transport.close()
