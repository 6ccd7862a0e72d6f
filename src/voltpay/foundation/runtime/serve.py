"""Serve HTTP: the Litestar app of a role, the small admin listener, and uvicorn round both."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn
from litestar import Litestar, Response, get
from litestar.openapi import OpenAPIConfig
from litestar.types import ASGIApp, ControllerRouterHandler
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from voltpay import __version__
from voltpay.core.errors import Misconfigured
from voltpay.foundation.runtime.front import Front, problem_told
from voltpay.foundation.runtime.http import (
    PROBLEM_JSON,
    AnyRequest,
    json_bytes,
)
from voltpay.foundation.runtime.openapi import DecimalsAreNumbers, Operations, document_of
from voltpay.foundation.runtime.shortcuts import Shortcuts
from voltpay.foundation.runtime.strict_http import BODY_TIMEOUT_S, HEAD_TIMEOUT_S, strict_http

ReadyChecks = Callable[[], Mapping[str, bool]]
"""What must hold for a role to be ready, by name."""

NO_SHORTCUTS: Final[Shortcuts] = {}
_UVICORN: Final[Mapping[str, Any]] = {
    "loop": "none",
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,
    "backlog": 2048,
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": 10,
}
log = structlog.get_logger()


def make_app(
    handlers: Sequence[ControllerRouterHandler],
    ready: ReadyChecks,
    operations: Operations,
    shortcuts: Shortcuts = NO_SHORTCUTS,
) -> ASGIApp:
    """The HTTP app of a role: its handlers, `/livez /readyz /metrics /schema`, and problems."""
    app = Litestar(
        [*handlers, *_admin_handlers(ready)],
        exception_handlers={Exception: _answer_error},
        logging_config=None,
        plugins=[DecimalsAreNumbers()],
        openapi_config=OpenAPIConfig(
            "Voltpay", __version__, path="/schema/docs", use_handler_docstrings=True
        ),
    )
    schema = json_bytes(document_of(app, operations))

    @get("/schema", include_in_schema=False, media_type="application/json")
    async def show_schema() -> bytes:
        return schema

    app.register(show_schema)
    return Front(app, shortcuts)


def _answer_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    details, headers = problem_told(error, request.url.path)
    return Response(
        json_bytes(details), status_code=details.status, headers=headers, media_type=PROBLEM_JSON
    )


def _admin_handlers(ready: ReadyChecks) -> Sequence[ControllerRouterHandler]:
    @get("/livez", include_in_schema=False, sync_to_thread=False)
    def show_live() -> dict[str, str]:
        return {"status": "alive"}

    @get("/readyz", include_in_schema=False, sync_to_thread=False)
    def show_ready() -> Response[dict[str, bool]]:
        checks = dict(ready())
        return Response(checks, status_code=200 if all(checks.values()) else 503)

    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def show_metrics() -> Response[bytes]:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [show_live, show_ready, show_metrics]


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the role's life cycle stops it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def run_until(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then answer what is in flight and end."""
        serving = asyncio.create_task(self.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        self.should_exit = True
        await serving


def server_on(
    app: ASGIApp,
    *,
    host: str = "",
    port: int = 0,
    socket: Path | None = None,
    head_timeout_s: float = HEAD_TIMEOUT_S,
    body_timeout_s: float = BODY_TIMEOUT_S,
    protocol: type[asyncio.Protocol] | None = None,
) -> Server:
    """A server on a TCP port, or on a Unix socket where one is given.

    `protocol` is one of uvicorn's kind, instead of the strict one that the bounds are for.
    """
    config = uvicorn.Config(
        app,
        host=host or "127.0.0.1",
        port=port,
        uds=str(socket) if socket else None,
        http=protocol or strict_http(head_timeout_s, body_timeout_s),
        **_UVICORN,
    )
    return Server(config)


async def refuse_taken_port(host: str, port: int) -> None:
    """Raise Misconfigured when something else listens there, or the address is not ours."""
    try:
        server = await asyncio.start_server(_close, host, port)
    except OSError as error:
        raise Misconfigured(
            f"cannot listen on {host}:{port}: {error.strerror}", "choose another with --port"
        ) from error
    server.close()
    await server.wait_closed()


def _close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
