"""Run one role: its loops, its periodic work and its server, until it is told to stop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from voltpay.app.engines import Opened, open_engines
from voltpay.app.house import House, build
from voltpay.app.roles import Role
from voltpay.app.serving import Address, server_of
from voltpay.app.settings import Settings
from voltpay.app.topology import stage_named, topics_of
from voltpay.core.errors import Broken, Unavailable
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.runtime import failpoints
from voltpay.foundation.runtime.batch_loop import BatchLimits, BatchLoop
from voltpay.foundation.runtime.lifecycle import Lifecycle
from voltpay.foundation.runtime.parts import Periodic
from voltpay.foundation.runtime.retry import Backoff, wait_or
from voltpay.foundation.runtime.serve import (
    Server,
    refuse_taken_port,
)
from voltpay.foundation.runtime.stages import BatchStage, WindowStage
from voltpay.foundation.runtime.window_loop import WindowLimits, WindowLoop
from voltpay.services.routing.settings import DispatchSettings

_READY_EVERY_S: Final = 0.02
log = structlog.get_logger()


class Repeating:
    """Runs a Periodic until told to stop; what is away or broken makes it wait longer."""

    def __init__(self, periodic: Periodic, backoff: Backoff) -> None:
        self.name = periodic.name
        self.is_ready = not periodic.is_needed
        self._periodic = periodic
        self._backoff = backoff

    async def run(self, stop: asyncio.Event) -> None:
        """Repeat until `stop` is set."""
        while not stop.is_set():
            try:
                await self._periodic.run()
            except (Unavailable, Broken) as error:
                self.is_ready = not self._periodic.is_needed
                tell = log.error if isinstance(error, Broken) else log.warning
                tell("periodic.paused", name=self.name, error=str(error))
                await self._backoff.pause(stop)
                continue
            self.is_ready = True
            self._backoff.reset()
            await wait_or(stop, self._periodic.every_ms / 1000)


Runner = BatchLoop | WindowLoop | Repeating


@dataclass
class _Running:
    runners: Sequence[Runner]
    life: Lifecycle
    server: Server | None = field(default=None)

    def checks(self) -> Mapping[str, bool]:
        checks = {runner.name: runner.is_ready for runner in self.runners}
        return checks | {"staying": False} if self.life.is_leaving else checks

    @property
    def is_ready(self) -> bool:
        return all(self.checks().values()) and (self.server is None or self.server.started)


async def run_role(role: Role, settings: Settings, address: Address, life: Lifecycle) -> None:
    """Run a role to its end: stop taking, finish what is under way, close."""
    failpoints.arm()
    if address.port:
        await refuse_taken_port(address.host, address.port)
    opened = open_engines(settings, role.name, address.courtesy)
    house = build(settings, opened)
    running = _Running(_runners(role, settings, house, opened), life)
    running.server = server_of(role, house, running.checks, address)
    try:
        async with asyncio.TaskGroup() as group:
            for runner in running.runners:
                group.create_task(runner.run(life.stopping))
            group.create_task(running.server.run_until(life.stopping))
            group.create_task(_announce(running, life))
    finally:
        await house.close()
        await opened.close()


async def _announce(running: _Running, life: Lifecycle) -> None:
    while not running.is_ready:
        if await wait_or(life.stopping, _READY_EVERY_S):
            return
    life.ready()


def _runners(role: Role, settings: Settings, house: House, opened: Opened) -> Sequence[Runner]:
    runners: list[Runner] = [_loop(name, settings, house, opened) for name in role.stages]
    return runners + [
        Repeating(periodic, Backoff(opened.engines.chance))
        for service in role.periodics
        for periodic in house.parts[service].periodics
    ]


def _loop(name: str, settings: Settings, house: House, opened: Opened) -> BatchLoop | WindowLoop:
    stage = next(part.stages[name] for part in house.parts.values() if name in part.stages)
    if isinstance(stage, WindowStage):
        return _window_loop(name, stage, settings, house, opened.engines)
    return _batch_loop(name, stage, settings, house, opened.engines)


def _batch_loop(
    name: str, stage: BatchStage, settings: Settings, house: House, engines: Engines
) -> BatchLoop:
    row = stage_named(name)
    (topic,) = topics_of(row, settings.topics)
    return BatchLoop(
        name,
        stage,
        engines.log.ordered(topic, row.group),
        house.publish,
        clock=engines.clock,
        chance=engines.chance,
        limits=_BATCH_LIMITS[name](settings),
    )


def _window_loop(
    name: str, stage: WindowStage, settings: Settings, house: House, engines: Engines
) -> WindowLoop:
    row = stage_named(name)
    loop = WindowLoop(
        name,
        stage,
        engines.log,
        topics_of(row, settings.topics),
        row.group,
        house.publish,
        clock=engines.clock,
        chance=engines.chance,
        limits=_WINDOW_LIMITS[name](settings),
    )
    if name == "route":
        house.routing.route.on_change = loop.wake
    return loop


def _dispatch_limits(dispatch: DispatchSettings) -> WindowLimits:
    return WindowLimits(
        workers_min=dispatch.workers_min,
        workers_max=dispatch.workers_max,
        take_min=dispatch.take_min,
        take_max=dispatch.take_max,
        pace_ms=dispatch.pace_ms,
        backlog_high=dispatch.backlog_high,
        backlog_low=dispatch.backlog_low,
        delay_ms=dispatch.deferred_delay_ms,
    )


_BATCH_LIMITS: Final[Mapping[str, Callable[[Settings], BatchLimits]]] = {
    "post": lambda settings: BatchLimits(settings.ledger.batch_max, settings.ledger.pace_ms),
    "project": lambda settings: BatchLimits(settings.inquiry.batch_max, settings.inquiry.pace_ms),
}
_WINDOW_LIMITS: Final[Mapping[str, Callable[[Settings], WindowLimits]]] = {
    "route": lambda settings: _dispatch_limits(settings.routing.dispatch),
    "shelve": lambda _: WindowLimits(workers_min=1, workers_max=1, take_min=1),
}
