"""The loop round a window stage: many messages at once, each acknowledged when its own is done.

Workers take messages by the handful and never wait on one; their number follows the backlog.
One more reads the low-priority topic, whose records wait a fixed delay: it gets a tenth of the
room when there is more to do than room, and all that is left otherwise.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from prometheus_client import Gauge

from voltpay.core.errors import Unavailable
from voltpay.foundation.runtime.dispatch import Dispatch, Window, WindowLimits
from voltpay.foundation.runtime.health import Health
from voltpay.foundation.runtime.low_lane import LowLane
from voltpay.foundation.runtime.retry import wait_or
from voltpay.foundation.runtime.room import Room
from voltpay.foundation.runtime.stages import Publisher, WindowStage
from voltpay.foundation.seams.clock import Chance, Clock
from voltpay.foundation.seams.log import Consumer, Log

__all__ = ["WindowLimits", "WindowLoop"]

_PLACELESS_MAX: Final = 1_000
"""Of a worker: done by the stage, waiting to be published, and in nobody's way."""

WORKERS = Gauge("voltpay_dispatch_workers", "Workers that take messages", ["stage"])
HELD = Gauge("voltpay_dispatch_held", "Messages that the stage works on or waits for", ["stage"])


class WindowLoop:
    """Runs a WindowStage until told to stop; then waits for what is under way.

    A message that meets Unavailable is kept and tried again with backoff, and nothing more is
    taken meanwhile. One that raises Broken three times is buried.
    """

    def __init__(
        self,
        name: str,
        stage: WindowStage,
        source: Log,
        topics: Sequence[str],
        group: str,
        publish: Publisher,
        *,
        clock: Clock,
        chance: Chance,
        limits: WindowLimits,
    ) -> None:
        room = Room(stage.room, take_min=limits.take_min, take_max=limits.take_max)
        self.name = name
        self._source = source
        self._topic = topics[0]
        self._group = group
        self._limits = limits
        self._window = Window(name, stage, publish, clock, chance, limits, room, Health(name))
        self._low = self._low_lane(topics[1]) if len(topics) == 2 else None
        self._workers: list[_Worker] = []
        self._calm = 0

    @property
    def is_ready(self) -> bool:
        """Whether it takes messages and gets them done."""
        return not self._window.stop.is_set() and self._window.health.is_ready

    def wake(self) -> None:
        """Look at the room again now, and let what is deferred so far go at once."""
        self._window.changed.set()
        if self._low:
            self._low.wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set; then wait for what is under way."""
        self._window.stop = stop
        HELD.labels(self.name).set_function(lambda: self._window.room.held)
        async with asyncio.TaskGroup() as tasks:
            if self._low:
                tasks.create_task(self._low.work())
            for _ in range(self._limits.workers_min):
                self._hire(tasks)
            while not await wait_or(stop, self._limits.scale_every_ms / 1000):
                await self._scale(tasks)
            if self._low:
                self._low.nudge()

    async def _scale(self, tasks: asyncio.TaskGroup) -> None:
        try:
            backlog = await self._source.backlog(self._topic, self._group)
        except Unavailable:
            return
        limits = self._limits
        self._calm = self._calm + 1 if backlog < limits.backlog_low else 0
        if backlog > limits.backlog_high and len(self._workers) < limits.workers_max:
            self._hire(tasks)
        elif self._calm >= limits.calm_turns and len(self._workers) > limits.workers_min:
            self._retire()

    def _hire(self, tasks: asyncio.TaskGroup) -> None:
        worker = _Worker(self._window, self._source.shared(self._topic, self._group))
        tasks.create_task(worker.work())
        self._workers.append(worker)
        WORKERS.labels(self.name).set(len(self._workers))

    def _retire(self) -> None:
        self._calm = 0
        self._workers.pop().is_retired = True
        WORKERS.labels(self.name).set(len(self._workers))

    def _low_lane(self, topic: str) -> LowLane:
        return LowLane(self._window, lambda: self._source.shared(topic, self._group))


class _Worker:
    """Takes handfuls of the urgent topic, as there is room, until it is retired."""

    def __init__(self, window: Window, consumer: Consumer) -> None:
        self.is_retired = False
        self._window = window
        self._dispatch = Dispatch(window, consumer, window.room.leave_high, _PLACELESS_MAX)

    async def work(self) -> None:
        """Go on, then wait for what is under way."""
        async with self._dispatch.opened():
            while not (self.is_retired or self._window.stop.is_set()):
                await self._turn()

    async def _turn(self) -> None:
        room = self._window.room
        asked = 0 if self._window.health.is_troubled else room.for_high()
        if not asked:
            await self._window.until_changed()
            return
        got = 0
        room.reserve_high(asked)
        try:
            taken = await self._dispatch.take(asked)
            got = len(taken)
        finally:
            room.took_high(asked, got)
        for delivery in taken:
            self._dispatch.start(delivery)
        if 0 < got < asked and self._window.limits.pace_ms:
            await wait_or(self._window.stop, self._window.limits.pace_ms / 1000)
