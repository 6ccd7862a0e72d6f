"""An answer before the end of a request's body is the last one of its connection, and says so."""

from collections.abc import Callable
from types import MethodType
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class EarlyAnswers:
    """An ASGI app round another. `on_last` is told when such an answer begins."""

    def __init__(self, app: Any, on_last: Callable[[], None]) -> None:
        self._app = app
        self._on_last = on_last

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI, under uvicorn: its `send` is a method of what knows whether the body has ended."""
        cycle = cast("RequestResponseCycle", cast("MethodType", send).__self__)
        await self._app(scope, receive, _Answer(cycle, self._on_last).send)


class _Answer:
    def __init__(self, cycle: RequestResponseCycle, on_last: Callable[[], None]) -> None:
        self.transport = cycle.transport
        self._cycle = cycle
        self._on_last = on_last

    async def send(self, message: Any) -> None:
        is_early = message["type"] == "http.response.start" and self._cycle.more_body
        if is_early:
            self._on_last()
            message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        await self._cycle.send(message)
        if is_early:
            # Else it would close at once, and with the rest of the body unread reset the answer.
            self._cycle.keep_alive = True
