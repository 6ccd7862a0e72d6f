"""Routing put together against the real sandbox processors, over HTTP, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from tests.routing.simulated import MemoryLog, a_payment, accepted, publish, taken

from voltpay.core.messages import PaymentDeferred, PaymentSettled
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.seams.clock import SystemChance, SystemClock
from voltpay.processors.http import HttpProcessor
from voltpay.processors.sandbox.api import Sandbox, sandbox_app
from voltpay.processors.sandbox.control import SandboxControl
from voltpay.processors.sandbox.serve import sandbox_server
from voltpay.processors.settings import ProcessorSettings
from voltpay.services.routing.settings import (
    LaneSettings,
    ProbeSettings,
    ResolveSettings,
    RoutingSettings,
)
from voltpay.services.routing.wire import Routing, build

SETTINGS = RoutingSettings(
    lease_ms=200,
    retry_share=1.0,
    lane=LaneSettings(charge_timeout_min_ms=100, latency_fresh_ms=300, limit_start=60),
    resolve=ResolveSettings(ask_first_ms=20, ask_max_ms=100, find_timeout_ms=500),
    probe=ProbeSettings(interval_ms=10),
)
FEES = {"default": Decimal("0.05"), "fallback": Decimal("0.15")}


@asynccontextmanager
async def serving(app: Sandbox) -> AsyncIterator[str]:
    app.open()
    server = sandbox_server(app, 0)
    server.config.timeout_graceful_shutdown = 1
    stop = asyncio.Event()
    task = asyncio.create_task(server.run_until(stop))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        stop.set()
        await task
        await app.close()


def a_sandbox(name: str, folder: Path) -> Sandbox:
    return sandbox_app(
        folder / f"{name}.journal",
        name=name,
        fee=FEES[name],
        currency="EUR",
        clock=SystemClock(),
        chance=SystemChance(),
        health_window_ms=1,
    )


def a_processor(name: str, url: str) -> tuple[ProcessorSettings, HttpProcessor]:
    settings = ProcessorSettings(
        name=name, url=url, fee=FEES[name], charge_timeout_ms=400, max_processing_ms=600
    )
    return settings, HttpProcessor(settings)


def engines_on(database_url: str, log: MemoryLog) -> Engines:
    return Engines(
        log=log,
        admin=None,
        intake=None,
        cache=None,
        database_url=database_url,
        replica_urls=[],
        sealer=Sealer(bytes(32)),
        instance="journey",
    )


async def posted_among(pairs: list[tuple[UUID, int]]) -> set[UUID]:
    return set()


async def no_conflict(payment_id: UUID) -> None:
    raise AssertionError(payment_id)


class Journey:
    """Feeds what is deferred back, and runs what repeats, until all is settled."""

    def __init__(self, routing: Routing, log: MemoryLog) -> None:
        self.routing = routing
        self.log = log
        self.settled: dict[UUID, PaymentSettled] = {}

    async def run(self, messages: list[object]) -> None:
        for message in messages:
            if isinstance(message, PaymentDeferred):
                await self.run(list(await self.routing.route(taken(message))))
            elif isinstance(message, PaymentSettled):
                self.settled[message.payment.id] = message

    async def until_settled(self, count: int) -> None:
        for _ in range(200):
            if len(self.settled) == count:
                return
            for periodic in self.routing.part.periodics:
                await periodic.run()
            messages, self.log.messages = self.log.messages, []
            await self.run(messages)
            await asyncio.sleep(0.02)
        raise AssertionError(f"{len(self.settled)} of {count} settled")


async def test_payments_survive_a_processor_that_resets_and_forgets_to_answer(
    database_url: str, tmp_path: Path
) -> None:
    log = MemoryLog()
    apps = {name: a_sandbox(name, tmp_path) for name in FEES}
    async with serving(apps["default"]) as one, serving(apps["fallback"]) as two:
        pairs = [a_processor("default", one), a_processor("fallback", two)]
        engines = engines_on(database_url, log)
        routing = build(engines, SETTINGS, pairs, publish, posted_among, no_conflict)
        journey = Journey(routing, log)
        payments = [a_payment() for _ in range(60)]
        async with SandboxControl(one) as control:
            await control.set_faults(
                {"reset": 0.2, "reset_before_insert": 0.2, "garbage": 0.1, "decline": 0.2},
                seed=7,
            )
        async with SandboxControl(two) as control:
            # Whichever of them a payment comes to: some are declined in every run.
            await control.set_faults({"decline": 0.2}, seed=7)
        results = await asyncio.gather(*(routing.route(accepted(each)) for each in payments))
        await journey.run([message for messages in results for message in messages])
        await journey.until_settled(len(payments))

        booked = {}
        for settings, processor in pairs:
            async for page in processor.statement():
                for row in page:
                    assert row.payment_id not in booked
                    booked[row.payment_id] = (
                        settings.name,
                        row.amount_minor,
                        row.requested_at_ms,
                    )
        completed = {
            each.payment.id: (
                each.attempt.processor,
                each.payment.amount_minor,
                each.attempt.requested_at_ms,
            )
            for each in journey.settled.values()
            if each.executed
        }
        assert completed == booked
        assert len(journey.settled) == len(payments)
        assert any(not each.executed for each in journey.settled.values())
        assert routing.takes("EUR")
        assert not routing.takes("JPY")
        await routing.part.close()
