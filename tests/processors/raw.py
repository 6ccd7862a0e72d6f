"""A server of raw sockets that does to a connection what a test tells it, and counts."""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_ID = re.compile(rb'"correlationId":"([0-9a-f-]{36})"')
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass
class Connection:
    """One accepted connection. `number` counts from 1 over the server."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "RawServer"

    async def read(self) -> bytes:
        """A whole request, head and body; counted with the payment's id in it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        named = _ID.search(body)
        self.server.requests.append(named[1].decode() if named else head.split(b" ")[1].decode())
        self.server.heads.append(head)
        self.server.asked.set()
        return body

    async def answer(self, status: int, body: bytes = b"", *headers: bytes) -> None:
        """Send a whole answer."""
        lines = [b"HTTP/1.1 %d X" % status, b"content-length: %d" % len(body), *headers, b"", body]
        await self.send(b"\r\n".join(lines))

    async def send(self, content: bytes) -> None:
        """Send these bytes."""
        self.writer.write(content)
        await self.writer.drain()

    def reset(self) -> None:
        """Send RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


@dataclass
class RawServer:
    """Runs a script over every connection, then closes it."""

    script: Script
    requests: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    open_max: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.open_max = max(self.open, self.open_max)
        task = asyncio.create_task(self._run(Connection(self.connections, reader, writer, self)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self.script(connection)
        finally:
            self.open -= 1
            connection.writer.close()

    async def stop(self) -> None:
        """Stop listening, and drop every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def free_port() -> int:
    """A port that was free a moment ago."""
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
