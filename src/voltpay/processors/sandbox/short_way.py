"""The short way in: a charge is answered as soon as its body is whole, without a cycle of ASGI.

The sandbox stands for machines elsewhere, but shares the cores of this one: uvicorn's cycle and a
task a request were half of what a charge cost it. Everything else goes uvicorn's way.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import ClassVar, Protocol

from voltpay.foundation.runtime.outgoing import JoinedHttp
from voltpay.processors.sandbox.replies import Reply, headers_of, reset


class ChargesAtOnce(Protocol):
    """A sandbox."""

    def charged_at_once(self, body: bytes) -> Reply | None:
        """The answer to a charge; None for what must go round."""
        ...


class ShortWay(JoinedHttp):
    """One connection of uvicorn's protocol with that way in."""

    sandbox: ClassVar[ChargesAtOnce]
    _charge: bytes | None = None

    def on_headers_complete(self) -> None:
        """Hold a charge back until its body is there."""
        if (
            self.url == b"/payments"
            and self.parser.get_method() == b"POST"
            and self.parser.should_keep_alive()
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)
        ):
            self._charge = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of it."""
        if self._charge is None:
            super().on_body(body)
        else:
            self._charge += body

    def on_message_complete(self) -> None:
        """Answer it now, or let it go round."""
        body, self._charge = self._charge, None
        reply = None if body is None else self.sandbox.charged_at_once(body)
        if reply is not None:
            self._answer(reply)
            return
        if body is not None:
            super().on_headers_complete()
            super().on_body(body)
        super().on_message_complete()

    def _answer(self, reply: Reply) -> None:
        if reply.status:
            self.write_now(_whole(reply))
        else:
            reset(self.transport)


def short_way(sandbox: ChargesAtOnce) -> type[ShortWay]:
    """The protocol for a sandbox."""
    return type("ShortWayTo", (ShortWay,), {"sandbox": sandbox})


@lru_cache(maxsize=64)
def _whole(reply: Reply) -> bytes:
    """Status line, headers and body."""
    lines = b"".join(b"%s: %s\r\n" % header for header in headers_of(reply))
    status = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
    return status.encode() + lines + b"\r\n" + reply.body
