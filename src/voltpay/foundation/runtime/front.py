"""The front of an app: request ids, shortcuts, and errors as problems."""

from functools import lru_cache
from typing import Any

import structlog
from litestar.types import ASGIApp, Receive, Scope, Send
from prometheus_client import Counter

from voltpay.core.errors import Rejected, Unavailable
from voltpay.foundation.runtime.http import (
    ANSWERS,
    PROBLEM_JSON,
    ProblemDetails,
    json_bytes,
    problem_of,
    request_id_of,
)
from voltpay.foundation.runtime.shortcuts import Shortcuts, found_in

log = structlog.get_logger()


class Front:
    """Gives every answer an `X-Request-Id`: the client's own, if it is short and plain.

    And answers what a shortcut takes.
    """

    def __init__(self, app: ASGIApp, shortcuts: Shortcuts) -> None:
        self._app = app
        self._shortcuts = shortcuts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        request_id = request_id_of(scope["headers"])
        is_begun = False

        async def send_with_id(message: Any) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
                _answers(message["status"]).inc()
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        found = found_in(self._shortcuts, scope)
        if found is None:
            await self._app(scope, receive, send_with_id)
            return
        shortcut, segment = found
        try:
            await shortcut(scope, receive, send_with_id, segment)
        except Exception as error:
            if is_begun:
                raise
            await _tell_problem(error, scope["path"], send_with_id)


async def _tell_problem(error: Exception, path: str, send: Send) -> None:
    details, more = problem_told(error, path)
    body = json_bytes(details)
    headers = [(name.encode(), value.encode()) for name, value in more.items()]
    headers += [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": details.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@lru_cache(maxsize=64)
def _answers(status: int) -> Counter:
    return ANSWERS.labels(status)


def problem_told(error: Exception, path: str) -> tuple[ProblemDetails, dict[str, str]]:
    """The problem and the headers of an error; what is a defect of ours is logged."""
    details, headers = problem_of(error)
    if not isinstance(error, Rejected | Unavailable) and details.status >= 500:
        log.error("http.failed", path=path, exc_info=error)
    return details, headers
