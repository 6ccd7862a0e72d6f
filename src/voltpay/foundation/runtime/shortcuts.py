"""Shortcuts: the few requests asked for most, answered without the framework's routing.

The same handlers' own checks, the same answers and the same problems; only what stands between a
request and its handler is left out. Whatever a shortcut does not take (a query, `Cache-Control`,
`Voltpay-After`, another method) goes the framework's way.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from litestar.types import Receive, Scope, Send

Shortcut = Callable[[Scope, Receive, Send, str], Awaitable[None]]
"""Answers a request; the text is the segment of the path that its template leaves open."""

Shortcuts = Mapping[tuple[str, str], Shortcut]
"""By method and template: `/payments`, or with one open segment, `/payments/{}/status`."""

_JSON: Final = (b"content-type", b"application/json")
_DECLINED: Final = frozenset({b"cache-control", b"voltpay-after"})
_OPEN: Final = 2
"""Where the open segment stands in a path that is split: behind the root and the first name."""


def found_in(shortcuts: Shortcuts, scope: Scope) -> tuple[Shortcut, str] | None:
    """The shortcut that takes a request, and the open segment of its path."""
    method = str(scope.get("method", ""))
    if scope["query_string"] and method == "GET":
        return None
    path = scope["path"]
    exact = shortcuts.get((method, path))
    if exact is not None:
        return exact, ""
    parts = path.split("/")
    if len(parts) <= _OPEN or not parts[_OPEN]:
        return None
    segment, parts[_OPEN] = parts[_OPEN], "{}"
    opened = shortcuts.get((method, "/".join(parts)))
    if opened is None or any(name in _DECLINED for name, _ in scope["headers"]):
        return None
    return opened, segment


def told(body_of: Callable[[str], Awaitable[bytes]]) -> Shortcut:
    """A shortcut that answers 200 with the JSON of an open segment."""

    async def answer(scope: Scope, receive: Receive, send: Send, segment: str) -> None:  # noqa: ARG001
        body = await body_of(segment)
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer
