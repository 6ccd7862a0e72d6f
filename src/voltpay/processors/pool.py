"""Persistent connections to one processor, bounded, and what a failed call proves.

"Nothing was sent" is believed in two cases only, both held by tests against raw sockets: no
connection could be made, or no slot for one came free. No request is ever sent twice, redirects
are not followed, and no proxy is asked.
"""

import asyncio
import ssl
from base64 import b64encode
from typing import Final
from urllib.parse import unquote, urlsplit

from voltpay.processors.connection import Answer, Connection, Failure
from voltpay.processors.slots import Slots

__all__ = ["NO_CONNECTION", "NO_SLOT", "Answer", "Failure", "Pool"]

NO_SLOT: Final = "no free connection"
NO_CONNECTION: Final = "no connection"
_CONNECT_TIMEOUT_S: Final = 2.0
_IDLE_S: Final = 60.0
"""Shorter than servers keep one: a connection that closes as it is used again leaves a doubt."""


class Pool:
    """At most `calls_max` calls at once to the host of `url`, each on a connection of its own.

    Connects at the first call, within that call's event loop.
    """

    def __init__(self, url: str, calls_max: int) -> None:
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if is_tls else 80)
        self._tls = ssl.create_default_context() if is_tls else None
        self._path = parts.path
        self._head = _head_of(parts.netloc, parts.username, parts.password)
        self._slots = Slots(calls_max)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self, target: str) -> bytes:
        """A GET of `target`, path and query behind the URL's own path."""
        return b"GET %s%s\r\n" % (f"{self._path}{target} HTTP/1.1".encode(), self._head)

    def post(self, target: str, body: bytes, traceparent: str = "") -> bytes:
        """A POST of JSON."""
        more = b"traceparent: %s\r\n" % traceparent.encode() if traceparent else b""
        line = f"{self._path}{target} HTTP/1.1".encode()
        return b"POST %s%scontent-length: %d\r\n%s\r\n%s" % (
            line,
            self._head,
            len(body),
            more,
            body,
        )

    async def ask(self, request: bytes, timeout_ms: int, bytes_max: int) -> Answer | Failure:
        """Send it once; an answer, or why there is none, within `timeout_ms`."""
        left_ms = await self._slots.take(timeout_ms)
        if not left_ms:
            return Failure(NO_SLOT, was_sent=False)
        try:
            return await self._ask(request, left_ms, bytes_max)
        finally:
            self._slots.give_back()

    async def _ask(self, request: bytes, left_ms: int, bytes_max: int) -> Answer | Failure:
        connection = self._kept()
        if connection is None:
            began = asyncio.get_running_loop().time()
            connection = await self._connected(left_ms)
            if connection is None:
                return Failure(NO_CONNECTION, was_sent=False)
            left_ms -= int((asyncio.get_running_loop().time() - began) * 1000)
        answer = await connection.ask(request, max(1, left_ms), bytes_max)
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def close(self) -> None:
        """Close all connections; the next call would open new ones."""
        for connection in list(self._open):
            connection.close()
        self._idle.clear()

    def _kept(self) -> Connection | None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Those of another loop are gone with it.
            self._loop = loop
            self._idle.clear()
            self._open.clear()
        oldest_s = loop.time() - _IDLE_S
        while self._idle:
            connection = self._idle.pop()
            # Asked here and sent in the same turn of the loop: nothing can come in between.
            if connection.is_open and connection.idle_since_s > oldest_s:
                return connection
            connection.close()
        return None

    async def _connected(self, timeout_ms: int) -> Connection | None:
        made = Connection(self._open.discard)
        try:
            async with asyncio.timeout(min(_CONNECT_TIMEOUT_S, timeout_ms / 1000)):
                await asyncio.get_running_loop().create_connection(
                    lambda: made,
                    self._host,
                    self._port,
                    ssl=self._tls,
                )
        except (OSError, UnicodeError):
            made.close()
            return None
        except BaseException:
            made.close()
            raise
        self._open.add(made)
        return made


def _head_of(netloc: str, username: str | None, password: str | None) -> bytes:
    """What every request says from its line's end on; all bodies are JSON."""
    host = netloc.rpartition("@")[2]
    lines = f"\r\nhost: {host}\r\nuser-agent: voltpay\r\ncontent-type: application/json\r\n"
    if username is not None:
        secret = f"{unquote(username)}:{unquote(password or '')}"
        lines += f"authorization: Basic {b64encode(secret.encode()).decode()}\r\n"
    return lines.encode()
