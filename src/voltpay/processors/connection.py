"""One HTTP/1.1 connection to a processor: a request at a time, and its answer or why there is none.

On httptools, without a client library in between: a call costs 15 µs of a core instead of 40 to 60,
and that no byte was written is something this side sees for itself. See decision 12.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

_FINAL: Final = 200
_TOO_MANY: Final = 429
BROKEN: Final = "broken connection"
TIMEOUT: Final = "timeout"


class Answer(Struct, frozen=True):
    """An answer; a body beyond the limit is cut off. Retry-After only where the status is 429."""

    status: int
    body: bytes
    retry_after: str | None


class Failure(Struct, frozen=True):
    """No answer. `was_sent` is false only where it is proven that no byte of the request was."""

    why: str
    was_sent: bool


class Connection(asyncio.Protocol):
    """Between calls it is idle; `on_lost` is told when it can carry no more.

    What comes unasked, cannot be parsed or is cut off ends the connection, and with it the call.
    """

    def __init__(self, on_lost: Callable[["Connection"], None]) -> None:
        self.idle_since_s = 0.0
        self._is_lost = False
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._asked: asyncio.Future[Answer | Failure] | None = None
        self._bytes_max = 0
        self._due_s = self._alarm_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._forget()

    def _forget(self) -> None:
        self._body = b""
        self._status = 0
        self._retry_after: str | None = None
        self._ends_by_itself = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        # uvloop's own is one by its methods only.
        self._transport = cast("asyncio.Transport", transport)

    @property
    def is_open(self) -> bool:
        """Whether it can carry a call: not once the other side has closed it, seen or not yet."""
        transport = self._transport
        return transport is not None and not self._is_lost and not transport.is_closing()

    async def ask(self, request: bytes, timeout_ms: int, bytes_max: int) -> Answer | Failure:
        """Send a request on an open connection and wait for its answer.

        A caller that is cancelled ends the connection.
        """
        transport = self._transport
        assert transport is not None, "used before it was open"
        self._forget()
        self._bytes_max = bytes_max
        asked: asyncio.Future[Answer | Failure] = self._loop.create_future()
        self._asked = asked
        self._due_s = self._loop.time() + timeout_ms / 1000
        if self._alarm is None or self._alarm_s > self._due_s:
            self._set_alarm()
        transport.write(request)
        try:
            return await asked
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self.idle_since_s = self._loop.time()

    def _set_alarm(self) -> None:
        """One for many calls: most are answered before it rings, and it is set again then."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_s = self._due_s
        self._alarm = self._loop.call_at(self._due_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._asked is None:
            return
        if self._due_s > self._alarm_s:
            self._set_alarm()
        else:
            self._fail(TIMEOUT)

    def close(self) -> None:
        """End it at once; a call under way fails, and nobody knows what became of it."""
        self._fail(BROKEN)

    def data_received(self, data: bytes) -> None:
        """A part of an answer, or something that nobody asked for."""
        if self._asked is None:
            self._fail(BROKEN)
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail(BROKEN)

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended, which ends an answer that says no length."""
        if exc is None and self._status >= _FINAL and not self._ends_by_itself:
            self._succeed()
        self._fail(BROKEN)

    def on_message_begin(self) -> None:
        """An answer begins, or what follows one: that is nobody's."""
        if self._asked is None:
            self._fail(BROKEN)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                self._ends_by_itself = True
            case b"retry-after":
                self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """A part of the body; the answer ends where it is too large."""
        self._body += body
        if len(self._body) > self._bytes_max:
            self._body = self._body[: self._bytes_max]
            self._succeed()
            self._fail(BROKEN)

    def on_message_complete(self) -> None:
        """The answer is whole; what comes before the final one is skipped."""
        if self._status < _FINAL:
            self._forget()
            return
        is_kept = self._parser.should_keep_alive()
        self._succeed()
        if not is_kept:
            self._fail(BROKEN)

    def _succeed(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            retry_after = self._retry_after if self._status == _TOO_MANY else None
            asked.set_result(Answer(self._status, self._body, retry_after))

    def _fail(self, why: str) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_result(Failure(why, was_sent=True))
        if self._transport is not None and not self._is_lost:
            self._is_lost = True
            if self._alarm is not None:
                self._alarm.cancel()
            self._on_lost(self)
            self._transport.abort()
