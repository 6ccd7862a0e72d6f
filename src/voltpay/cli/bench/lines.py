"""Connections of a crowd: each asks what it is given, and counts what it gets."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import perf_counter
from typing import Final, cast
from urllib.parse import urlsplit

LOST: Final = 0
"""The status of a request without an answer."""
_HEAD_ENDS: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


class Tally:
    """What came: answers by status, and their latencies in seconds."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []


class Line(asyncio.Protocol):
    """One connection; idle while it has nothing to ask."""

    def __init__(
        self,
        next_request: Callable[[], tuple[bytes, float] | None],
        tally: Tally,
        connect: Callable[["Line"], Coroutine[None, None, None]],
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
            self._tally.statuses[LOST] += 1
            self.idle.set()


def _is_whole(answer: bytes) -> bool:
    head, mark, body = answer.partition(_HEAD_ENDS)
    if not mark:
        return False
    length = head.lower().partition(_LENGTH)[2].partition(b"\r")[0]
    return len(body) >= int(length or 0)


class connected:  # noqa: N801 - a context manager, used like a function
    """So many connections inside."""

    def __init__(
        self,
        url: str,
        clients: int,
        next_request: Callable[[], tuple[bytes, float] | None],
        tally: Tally,
    ) -> None:
        self._url = urlsplit(url)
        self._clients = clients
        self._next_request = next_request
        self._tally = tally
        self._lines: list[Line] = []

    async def __aenter__(self) -> list[Line]:
        for _ in range(self._clients):
            line = Line(self._next_request, self._tally, self._connect)
            await self._connect(line)
            self._lines.append(line)
        return self._lines

    async def _connect(self, line: Line) -> None:
        host, port = self._url.hostname or "", self._url.port or 80
        await asyncio.get_running_loop().create_connection(lambda: line, host, port)

    async def __aexit__(self, *_: object) -> None:
        for line in self._lines:
            if line.transport is not None:
                line.transport.close()
