"""What the sandbox answers, and how it gets onto the wire; a reset is one of the answers."""

import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

Scope = Mapping[str, Any]
"""An ASGI scope: its values are of many types."""
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_JSON: Final = (b"content-type", b"application/json")


class Reply(Struct, frozen=True):
    """An answer: status, body, extra headers. Status 0: no answer, the connection is reset."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ()


def json_reply(value: object, status: int = 200) -> Reply:
    """An answer of any msgspec value; Decimals are JSON numbers."""
    return Reply(status, _ENCODER.encode(value))


def message(text: str, status: int) -> Reply:
    """An answer that only says something."""
    return json_reply({"message": text}, status)


RESET: Final = Reply(0)
NOT_FOUND: Final = message("not found", 404)
TOO_MANY: Final = Reply(429, b"", ((b"retry-after", b"1"),))


def headers_of(reply: Reply) -> list[tuple[bytes, bytes]]:
    """All of its headers."""
    return [_JSON, (b"content-length", b"%d" % len(reply.body)), *reply.headers]


async def send_reply(reply: Reply, receive: Receive, send: Send) -> None:
    """Put it on the wire."""
    if reply.status == 0:
        await _reset(receive, send)
        return
    await send(
        {"type": "http.response.start", "status": reply.status, "headers": headers_of(reply)}
    )
    await send({"type": "http.response.body", "body": reply.body})


class _Transport(Protocol):
    def get_extra_info(self, name: str) -> Any: ...
    def abort(self) -> None: ...


def reset(transport: _Transport) -> None:
    """Reset a connection."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _reset(receive: Receive, send: Send) -> None:
    """Reset the connection without a byte of an answer.

    ASGI has no word for it: uvicorn's `send` is a method of what holds the transport. On a server
    where it is not, the answer is cut off in the middle instead, which a client must see, too.
    """
    transport: _Transport | None = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        headers = [_JSON, (b"content-length", b"64")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        return
    reset(transport)
    while (await receive())["type"] != "http.disconnect":
        pass
