"""An app behind real uvicorn on a Unix socket, and a client that can be as rude as it likes."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar.types import ASGIApp

from voltpay.foundation.runtime.serve import server_on


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The JSON."""
        return json.loads(self.raw)


class Line:
    """One connection: what is sent on it and when is up to the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, content: bytes) -> None:
        """These bytes, now."""
        self._writer.write(content)
        await self._writer.drain()

    async def answer(self) -> Answer:
        """The next answer."""
        async with asyncio.timeout(10):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            raw = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(first.split()[1]), headers, raw)

    async def rest(self) -> bytes:
        """All that still comes until the server hangs up."""
        async with asyncio.timeout(10):
            return await self._reader.read()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Served:
    """The app, as its clients see it."""

    def __init__(self, socket: Path) -> None:
        self.stop = asyncio.Event()
        self._socket = socket

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A connection."""
        line = Line(*await asyncio.open_unix_connection(str(self._socket)))
        try:
            yield line
        finally:
            await line.close()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One well-behaved request on a connection of its own."""
        async with self.line() as line:
            await line.send(request(method, path, {"Content-Length": str(len(body))}, headers))
            await line.send(body)
            return await line.answer()


def request(method: str, path: str, *headers: Mapping[str, str] | None) -> bytes:
    """The head of a request."""
    rows = {"Host": "test"}
    for some in headers:
        rows |= some or {}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in rows.items())]
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def served(app: ASGIApp, **bounds: float) -> AsyncIterator[Served]:
    """Serve it. `bounds` are those of `server_on`."""
    with tempfile.TemporaryDirectory(prefix="vp-http-") as folder:
        socket = Path(folder) / "s"
        server, made = server_on(app, socket=socket, **bounds), Served(socket)
        serving = asyncio.create_task(server.run_until(made.stop))
        while not server.started:
            assert not serving.done(), serving.exception()
            await asyncio.sleep(0.002)
        try:
            yield made
        finally:
            made.stop.set()
            await serving
