"""Dispatch: the messages that one consumer took, all under way at once, each to its own end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.runtime.batch_loop import HANDLED
from voltpay.foundation.runtime.blame import Gravedigger, taken_of
from voltpay.foundation.runtime.failpoints import reach
from voltpay.foundation.runtime.group_commit import GroupCommit
from voltpay.foundation.runtime.health import Health
from voltpay.foundation.runtime.retry import Backoff, wait_or
from voltpay.foundation.runtime.room import Room
from voltpay.foundation.runtime.stages import Publisher, WindowStage
from voltpay.foundation.seams.clock import Chance, Clock
from voltpay.foundation.seams.log import Consumer, Delivery, Record

_NO_ROOM_S: Final = 0.02
_GROUP_MAX: Final = 1_000

log = structlog.get_logger()


@dataclass(frozen=True)
class WindowLimits:
    """Workers by backlog; how many messages each takes; the delay of the low-priority topic.

    A worker that found less than it asked for looks again no sooner than `pace_ms` after; what is
    finished is written at that pace, too. The backlog is looked at every `scale_every_ms`; a worker
    goes after `calm_turns` quiet looks.
    """

    workers_min: int = 4
    workers_max: int = 6
    take_min: int = 10
    take_max: int = 20
    pace_ms: int = 0
    wait_ms: int = 250
    backlog_high: int = 200
    backlog_low: int = 20
    delay_ms: int = 1_000
    scale_every_ms: int = 500
    calm_turns: int = 6


@dataclass
class Window:
    """What the tasks of one loop share. `changed` is set whenever there may be more room."""

    name: str
    stage: WindowStage
    publish: Publisher
    clock: Clock
    chance: Chance
    limits: WindowLimits
    room: Room
    health: Health
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_changed(self) -> None:
        """Wait until there may be more room, or a moment, as a stage need not tell."""
        await wait_or(self.changed, _NO_ROOM_S)
        self.changed.clear()


class _Place:
    """A message, and whether it holds its place in the room still."""

    __slots__ = ("delivery", "is_held")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.is_held = True


class Dispatch:
    """One consumer, and what it took and has not finished. `leave` gives a message's place back.

    That is once it is finished; for up to `placeless_max` messages once the stage is done with
    them: an engine that takes long to publish would else keep others waiting, and groups small.

    A message that meets Unavailable is kept and tried again with backoff, until the loop stops.
    One that raises Broken three times is buried. Anything else ends the loop.
    """

    def __init__(
        self,
        window: Window,
        consumer: Consumer,
        leave: Callable[[], None],
        placeless_max: int = 0,
    ) -> None:
        self._window = window
        self._consumer = consumer
        self._leave = leave
        self._backoff = Backoff(window.chance)
        self._finished = GroupCommit(
            self._finish, group_max=_GROUP_MAX, pace_s=window.limits.pace_ms / 1000
        )
        self._placeless_max = placeless_max
        self._placeless = 0
        self._gravedigger = Gravedigger(window.name, consumer, window.publish, window.clock)
        self._under_way: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Messages may start inside; leaving waits for them, then closes the consumer."""
        try:
            async with asyncio.TaskGroup() as under_way:
                self._under_way = under_way
                yield
        finally:
            await self._consumer.close()

    async def take(self, count: int) -> Sequence[Delivery]:
        """Up to `count` deliveries; nothing, after a pause, while the log is away."""
        window = self._window
        try:
            taken = await self._consumer.take(count, window.limits.wait_ms)
        except Unavailable as error:
            window.health.note(is_well=False)
            log.warning("stage.paused", stage=window.name, error=str(error))
            await self._backoff.pause(window.stop)
            return ()
        self._backoff.reset()
        window.health.note(is_well=True)
        return taken

    def start(self, delivery: Delivery) -> None:
        """Let a message that has its place go its way."""
        assert self._under_way is not None, "used outside of its context"
        self._under_way.create_task(self._one(delivery))

    async def _one(self, delivery: Delivery) -> None:
        place = _Place(delivery)
        try:
            await self._until_done(place)
        finally:
            self._give_back(place)
            self._placeless -= 1

    def _give_back(self, place: _Place) -> None:
        if place.is_held:
            place.is_held = False
            self._placeless += 1
            self._leave()
            self._window.changed.set()

    async def _until_done(self, place: _Place) -> None:
        try:
            await self._handle(place)
        except Unavailable as error:
            log.warning("stage.message_waits", stage=self._window.name, error=str(error))
            with self._window.health.trouble():
                await self._until_back(place)

    async def _until_back(self, place: _Place) -> None:
        backoff = Backoff(self._window.chance)
        while not self._window.stop.is_set():
            await backoff.pause(self._window.stop)
            with suppress(Unavailable):
                await self._handle(place)
                return

    async def _handle(self, place: _Place) -> None:
        delivery = place.delivery

        async def once() -> None:
            messages = await self._window.stage(taken_of(delivery))
            if self._placeless < self._placeless_max:
                self._give_back(place)
            await self._finished((delivery, self._window.publish(messages)))

        try:
            await once()
        except (Unavailable, Misconfigured):
            raise
        except Exception as error:  # noqa: BLE001 - counted, and raised again unless it is Broken
            await self._gravedigger.see_to(delivery, error, once)

    async def _finish(self, group: Sequence[tuple[Delivery, Sequence[Record]]]) -> list[None]:
        records = [record for _, some in group for record in some]
        reach(f"{self._window.name}.before_publish")
        await self._consumer.finish([delivery for delivery, _ in group], records)
        reach(f"{self._window.name}.after_publish")
        HANDLED.labels(self._window.name).inc(len(group))
        return [None] * len(group)
