"""How an answer goes out: its head and its body in one write, and an early one as the last.

An answer before the end of a request's body is the last one of its connection, and says so.
uvicorn writes head and body apart; each write is a system call, and wakes the client.
"""

import asyncio
from collections.abc import Callable
from types import MethodType
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_START = "http.response.start"


class JoinedHttp(HttpToolsProtocol):
    """uvicorn's protocol, whose answers are one write each."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write through what joins."""
        self._joined = _Joined(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", self._joined))

    def write_now(self, answer: bytes) -> None:
        """Write a whole answer that no cycle of uvicorn's made."""
        self._joined.write_now(answer)

    def on_response_complete(self) -> None:
        """Out with it, before the next request is handled."""
        self._joined.flush()
        super().on_response_complete()


class _Joined:
    """A transport that keeps what is written until the answer, or this turn of the loop, ends."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def write_now(self, data: bytes) -> None:
        self.flush()
        self._transport.write(data)

    def flush(self) -> None:
        if self._held:
            held, self._held = self._held, []
            self._transport.write(b"".join(held))

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    # All else is the transport's own.
    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class EarlyAnswers:
    """An ASGI app round another. `on_last` is told when an early answer begins."""

    def __init__(self, app: Any, on_last: Callable[[], None]) -> None:
        self._app = app
        self._on_last = on_last

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI, under uvicorn: its `send` is a method of what knows whether the body has ended."""
        cycle = cast("RequestResponseCycle", cast("MethodType", send).__self__)
        if cycle.more_body:
            send = _Answer(cycle, self._on_last).send
        await self._app(scope, receive, send)


class _Answer:
    def __init__(self, cycle: RequestResponseCycle, on_last: Callable[[], None]) -> None:
        self.transport = cycle.transport
        self._cycle = cycle
        self._on_last = on_last

    async def send(self, message: Any) -> None:
        cycle = self._cycle
        is_early = message["type"] == _START and cycle.more_body
        if is_early:
            self._on_last()
            message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        await cycle.send(message)
        if is_early:
            # Else it would close at once, and with the rest of the body unread reset the answer.
            cycle.keep_alive = True
