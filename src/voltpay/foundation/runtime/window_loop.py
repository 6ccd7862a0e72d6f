"""The loop round a window stage: many messages at once, each acknowledged when its own is done.

Workers take messages by the handful and never wait on one; their number follows the backlog.
One more reads the low-priority topic, whose records wait a fixed delay: it gets a tenth of the
room when there is more to do than room, and all that is left otherwise.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import Gauge

from voltpay.core.errors import Broken, Unavailable
from voltpay.foundation.runtime.batch_loop import HANDLED, PAUSED
from voltpay.foundation.runtime.blame import Gravedigger, taken_of
from voltpay.foundation.runtime.group_commit import GroupCommit
from voltpay.foundation.runtime.retry import Backoff, wait_or
from voltpay.foundation.runtime.stages import Publisher, WindowStage
from voltpay.foundation.seams.clock import Chance, Clock
from voltpay.foundation.seams.log import Consumer, Delivery, Log, Record

_NO_ROOM_S: Final = 0.02
_SCALE_EVERY_S: Final = 0.5
_CALM_TURNS: Final = 6
LOW_SHARE: Final = 10
"""One in this many of the room belongs to the low-priority topic."""

log = structlog.get_logger()
WORKERS = Gauge("voltpay_dispatch_workers", "Workers that take messages", ["stage"])
HELD = Gauge("voltpay_dispatch_held", "Messages taken and not yet finished", ["stage"])


@dataclass(frozen=True)
class WindowLimits:
    """Workers by backlog; how many messages each takes; the delay of the low-priority topic."""

    workers_min: int = 4
    workers_max: int = 6
    take_min: int = 10
    take_max: int = 20
    wait_ms: int = 250
    backlog_high: int = 200
    backlog_low: int = 20
    delay_ms: int = 1_000


@dataclass
class _Worker:
    consumer: Consumer
    finish: GroupCommit[tuple[Delivery, Sequence[Record]], None]
    gravedigger: Gravedigger
    under_way: set[asyncio.Task[None]]
    retired: asyncio.Event


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
        self.name = name
        self.is_ready = False
        self._stage = stage
        self._log = source
        self._topic = topics[0]
        self._low_topic = topics[1] if len(topics) == 2 else None
        self._group = group
        self._publish = publish
        self._clock = clock
        self._chance = chance
        self._limits = limits
        self._held = 0
        self._low_due = False
        self._high_idle = True
        self._troubled = 0
        self._calm = 0
        self._woken_ms = 0
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._workers: list[tuple[_Worker, asyncio.Task[None]]] = []

    def wake(self) -> None:
        """Look at the room again now, and let what is deferred so far go at once."""
        self._woken_ms = self._clock.now_ms()
        self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set; then wait for what is under way."""
        self._stop = stop
        low = asyncio.create_task(self._work_low()) if self._low_topic else None
        for _ in range(self._limits.workers_min):
            self._hire()
        while not await wait_or(stop, _SCALE_EVERY_S):
            await self._scale()
        self.is_ready = False
        tasks = [task for _, task in self._workers] + ([low] if low else [])
        for finished in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(finished, BaseException):
                raise finished

    async def _scale(self) -> None:
        for _, task in self._workers:
            if task.done():
                task.result()
        try:
            backlog = await self._log.backlog(self._topic, self._group)
        except Unavailable:
            return
        limits = self._limits
        if backlog > limits.backlog_high and len(self._workers) < limits.workers_max:
            self._hire()
            self._calm = 0
        elif backlog < limits.backlog_low and len(self._workers) > limits.workers_min:
            self._calm += 1
            if self._calm >= _CALM_TURNS:
                await self._retire()
                self._calm = 0

    def _hire(self) -> None:
        worker = self._worker_on(self._topic)
        task = asyncio.create_task(self._work(worker))
        self._workers.append((worker, task))
        WORKERS.labels(self.name).set(len(self._workers))

    async def _retire(self) -> None:
        worker, task = self._workers.pop()
        WORKERS.labels(self.name).set(len(self._workers))
        worker.retired.set()
        await task

    def _worker_on(self, topic: str) -> _Worker:
        consumer = self._log.shared([topic], self._group)

        async def finish(group: Sequence[tuple[Delivery, Sequence[Record]]]) -> list[None]:
            records = [record for _, some in group for record in some]
            await consumer.finish([delivery for delivery, _ in group], records)
            HANDLED.labels(self.name).inc(len(group))
            return [None] * len(group)

        gravedigger = Gravedigger(self.name, consumer, self._publish, self._clock)
        return _Worker(consumer, GroupCommit(finish), gravedigger, set(), asyncio.Event())

    async def _work(self, worker: _Worker) -> None:
        backoff = Backoff(self._chance)
        while not self._stop.is_set() and not worker.retired.is_set():
            count = self._room_for_high()
            if count < min(self._limits.take_min, max(1, self._stage.room())):
                await self._room_may_have_changed()
                continue
            deliveries = await self._take(worker, count, backoff)
            self._high_idle = len(deliveries) < count
            for delivery in deliveries:
                self._start(worker, delivery)
        await self._leave(worker)

    async def _take(self, worker: _Worker, count: int, backoff: Backoff) -> Sequence[Delivery]:
        self._held += count
        taken: Sequence[Delivery] = ()
        try:
            taken = await worker.consumer.take(count, self._limits.wait_ms)
            backoff.reset()
            self._note_health(is_well=True)
        except Unavailable as error:
            self._note_health(is_well=False)
            log.warning("stage.paused", stage=self.name, error=str(error))
            await backoff.pause(self._stop)
        finally:
            self._held -= count - len(taken)
        HELD.labels(self.name).set(self._held)
        return taken

    def _note_health(self, *, is_well: bool) -> None:
        self.is_ready = is_well and not self._troubled
        PAUSED.labels(self.name).set(0 if self.is_ready else 1)

    def _room_for_high(self) -> int:
        if self._troubled:
            return 0
        capacity = self._stage.room()
        kept = max(1, capacity // LOW_SHARE) if self._low_due and capacity > 1 else 0
        return min(self._limits.take_max, capacity - kept - self._held)

    def _room_for_low(self) -> int:
        if self._troubled:
            return 0
        capacity = self._stage.room()
        share = self._limits.take_max if self._high_idle else max(1, capacity // LOW_SHARE)
        return min(share, capacity - self._held)

    async def _room_may_have_changed(self) -> None:
        await wait_or(self._changed, _NO_ROOM_S)
        self._changed.clear()

    def _start(self, worker: _Worker, delivery: Delivery) -> None:
        task = asyncio.create_task(self._one(worker, delivery))
        worker.under_way.add(task)
        task.add_done_callback(worker.under_way.discard)

    async def _one(self, worker: _Worker, delivery: Delivery) -> None:
        try:
            await self._until_done(worker, delivery)
        finally:
            self._held -= 1
            self._changed.set()

    async def _until_done(self, worker: _Worker, delivery: Delivery) -> None:
        backoff = Backoff(self._chance)
        is_troubled = False
        try:
            while True:
                try:
                    await self._handle(worker, delivery)
                    return
                except Unavailable as error:
                    if not is_troubled:
                        is_troubled = True
                        self._troubled += 1
                        log.warning("stage.message_waits", stage=self.name, error=str(error))
                if self._stop.is_set():
                    return
                await backoff.pause(self._stop)
        finally:
            self._troubled -= is_troubled

    async def _handle(self, worker: _Worker, delivery: Delivery) -> None:
        async def once() -> None:
            messages = await self._stage(taken_of(delivery))
            await worker.finish((delivery, self._publish(messages)))

        try:
            await once()
        except Broken as error:
            await worker.gravedigger.see_to(delivery, error, once)

    async def _leave(self, worker: _Worker) -> None:
        while worker.under_way:
            await asyncio.wait(worker.under_way)
        await worker.consumer.close()

    async def _work_low(self) -> None:
        assert self._low_topic is not None
        worker = self._worker_on(self._low_topic)
        backoff = Backoff(self._chance)
        while not self._stop.is_set():
            waiting = await self._peek_low(worker, backoff)
            for at, delivery in enumerate(waiting):
                if not await self._until_due(delivery):
                    break
                while self._room_for_low() < 1 and not self._stop.is_set():
                    await self._room_may_have_changed()
                if self._stop.is_set():
                    break
                self._held += 1
                self._low_due = at + 1 < len(waiting)
                self._start(worker, delivery)
        await self._leave(worker)

    async def _peek_low(self, worker: _Worker, backoff: Backoff) -> Sequence[Delivery]:
        # What is parked here holds no room: it waits for its time, not for a processor.
        self._low_due = False
        try:
            taken = await worker.consumer.take(self._limits.take_max, self._limits.wait_ms)
        except Unavailable:
            await backoff.pause(self._stop)
            return ()
        backoff.reset()
        return taken

    async def _until_due(self, delivery: Delivery) -> bool:
        while not self._stop.is_set():
            left_ms = delivery.appended_at_ms + self._limits.delay_ms - self._clock.now_ms()
            if left_ms <= 0 or delivery.appended_at_ms <= self._woken_ms:
                self._low_due = True
                return True
            await wait_or(self._stop, min(left_ms, 100) / 1000)
        return False
