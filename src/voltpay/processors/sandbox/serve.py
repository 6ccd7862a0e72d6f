"""The sandbox processor as a role of its own process."""

import asyncio
from pathlib import Path
from typing import Final

from voltpay.foundation.runtime.lifecycle import Lifecycle
from voltpay.foundation.runtime.serve import Server, refuse_taken_port, server_on
from voltpay.foundation.seams.clock import SystemChance, SystemClock
from voltpay.processors.sandbox.api import Sandbox, sandbox_app
from voltpay.processors.sandbox.short_way import short_way
from voltpay.processors.settings import ProcessorSettings

LOOPBACK: Final = "127.0.0.1"
_STARTED_EVERY_S: Final = 0.02


async def serve_sandbox(
    processor: ProcessorSettings, journal: Path, port: int, life: Lifecycle, host: str = LOOPBACK
) -> None:
    """Serve one sandbox until it is told to stop; what has begun is executed.

    Raises Misconfigured when the port is taken or the journal cannot be used.
    """
    await refuse_taken_port(host, port)
    app = sandbox_app(
        journal,
        name=processor.name,
        fee=processor.fee,
        currency=processor.currency,
        clock=SystemClock(),
        chance=SystemChance(),
    )
    app.open()
    server = sandbox_server(app, port, host)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run_until(life.stopping))
            group.create_task(_announce(server, life))
    finally:
        await app.close()


def sandbox_server(app: Sandbox, port: int, host: str = LOOPBACK) -> Server:
    """A server round a sandbox that is open; port 0: any that is free."""
    return server_on(app, host=host, port=port, protocol=short_way(app))


async def _announce(server: Server, life: Lifecycle) -> None:
    while not server.started:
        if life.stopping.is_set():
            return
        await asyncio.sleep(_STARTED_EVERY_S)
    life.ready()
