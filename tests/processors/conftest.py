"""Raw servers, sandboxes on loopback and the adapter that speaks to both."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.processors.raw import RawServer, Script

from voltpay.foundation.seams.clock import SystemChance, SystemClock
from voltpay.processors.http import HttpProcessor
from voltpay.processors.sandbox.api import Sandbox, sandbox_app
from voltpay.processors.sandbox.control import SandboxControl
from voltpay.processors.sandbox.serve import sandbox_server
from voltpay.processors.seam import Charge
from voltpay.processors.settings import ProcessorSettings

NOON_MS = 1_752_580_800_000
MakeCharge = Callable[..., Charge]
StartRaw = Callable[[Script], Awaitable[RawServer]]
MakeProcessor = Callable[..., HttpProcessor]


class RunningSandbox:
    """A sandbox behind uvicorn, its operator's control and the adapter that charges it."""

    def __init__(
        self, app: Sandbox, url: str, control: SandboxControl, processor: HttpProcessor
    ) -> None:
        self.app = app
        self.url = url
        self.control = control
        self.processor = processor


StartSandbox = Callable[..., Awaitable[RunningSandbox]]


@pytest.fixture
def charge_of() -> MakeCharge:
    """Makes a charge; each has a new id unless one is given."""

    def make(
        *,
        payment_id: UUID | None = None,
        amount_minor: int = 1990,
        currency: str = "EUR",
        requested_at_ms: int = NOON_MS,
        traceparent: str = "",
    ) -> Charge:
        chosen = payment_id or uuid4()
        return Charge(chosen, amount_minor, currency, requested_at_ms, traceparent)

    return make


@pytest.fixture
async def raw() -> AsyncIterator[StartRaw]:
    """Starts servers of raw sockets."""
    servers: list[RawServer] = []

    async def start(script: Script) -> RawServer:
        server = RawServer(script)
        servers.append(server)
        await server.start()
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def processor_at() -> AsyncIterator[MakeProcessor]:
    """Makes adapters for a URL, and closes them."""
    made: list[HttpProcessor] = []

    def make(url: str, *, connections_max: int = 100, currency: str = "EUR") -> HttpProcessor:
        settings = ProcessorSettings(
            name="default",
            url=url,
            fee=Decimal("0.05"),
            connections_max=connections_max,
            currency=currency,
        )
        made.append(HttpProcessor(settings))
        return made[-1]

    yield make
    for processor in made:
        await processor.close()


@pytest.fixture
async def sandbox(tmp_path: Path, processor_at: MakeProcessor) -> AsyncIterator[StartSandbox]:
    """Starts sandboxes behind uvicorn in this loop."""
    async with AsyncExitStack() as stack:

        async def start(
            *, health_window_ms: int = 5_000, currency: str = "EUR", journal: Path | None = None
        ) -> RunningSandbox:
            app = sandbox_app(
                journal or tmp_path / "one.journal",
                name="default",
                fee=Decimal("0.05"),
                currency=currency,
                clock=SystemClock(),
                chance=SystemChance(),
                health_window_ms=health_window_ms,
            )
            url = await stack.enter_async_context(_serving(app))
            control = await stack.enter_async_context(SandboxControl(url))
            return RunningSandbox(app, url, control, processor_at(url, currency=currency))

        yield start


@asynccontextmanager
async def _serving(app: Sandbox) -> AsyncIterator[str]:
    app.open()
    server = sandbox_server(app, 0)
    server.config.timeout_graceful_shutdown = 1
    stop = asyncio.Event()
    task = asyncio.create_task(server.run_until(stop))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await task
        await app.close()
