"""A real log with the topics of the house, and stages so small that a test sees all they do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from tests.core.payments import payment, posted, settled

from voltpay.app.topology import TopicNames, publisher, topic_rows
from voltpay.core.codec import decode
from voltpay.core.ids import PaymentId
from voltpay.core.messages import (
    Message,
    PaymentAccepted,
    PaymentDead,
    PaymentDeferred,
    PaymentSettled,
)
from voltpay.foundation.engines.redis.log import RedisLog
from voltpay.foundation.runtime.batch_loop import BatchLimits, BatchLoop
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.runtime.window_loop import WindowLimits, WindowLoop
from voltpay.foundation.seams.clock import SystemChance, SystemClock
from voltpay.foundation.seams.log import Consumer

NAMES = TopicNames()
PUBLISH = publisher(NAMES)
PARTITIONS = 2
PATIENCE_S = 20
_LOOK_S = 0.002
_LOOKS = int(PATIENCE_S / _LOOK_S)


class TinyLog(RedisLog):
    """The log of one process."""

    def __init__(self, url: str, instance: str = "one") -> None:
        super().__init__(
            url,
            topics=topic_rows(NAMES),
            partitions=PARTITIONS,
            instance=instance,
            alive_ms=400,
        )

    async def write(self, messages: Iterable[Message]) -> None:
        """Append what the messages are."""
        await self.append(PUBLISH(list(messages)))

    async def dead(self) -> list[PaymentDead]:
        """All letters that were buried so far and nobody has taken."""
        taken = await self._taken(self.shared(NAMES.dead, "dead"))
        return [message for message in taken if isinstance(message, PaymentDead)]

    async def posted(self) -> list[int]:
        """Numbers of the posted facts, in the order of the log."""
        return [
            number_of(message)
            for message in await self._taken(self.ordered(NAMES.posted, "projection"))
        ]

    async def _taken(self, consumer: Consumer) -> list[Message]:
        deliveries = await consumer.take(1_000, 0)
        return [decode(delivery.body) for delivery in deliveries]


@asynccontextmanager
async def opened(url: str, instance: str = "one") -> AsyncIterator[TinyLog]:
    """A prepared log, closed afterwards."""
    log = TinyLog(url, instance)
    await log.prepare()
    try:
        yield log
    finally:
        await log.close()


def fact(number: int, account: str = "alice") -> PaymentSettled:
    """A settled payment that is known by its number."""
    return settled(payment=payment(id=_id(number), account_id=account))


def promise(number: int) -> PaymentAccepted:
    """An accepted payment that is known by its number."""
    return PaymentAccepted(payment(id=_id(number)))


def put_off(number: int) -> PaymentDeferred:
    """A deferred payment that is known by its number."""
    return PaymentDeferred(payment(id=_id(number)), "no processor")


def number_of(message: Message) -> int:
    """The number of the payment that it is about."""
    fields = getattr(message, "settled", message)
    return int(fields.payment.id)


def _id(number: int) -> PaymentId:
    return PaymentId(UUID(int=number))


class Books:
    """A batch stage that notes what it saw, and fails as the test says."""

    def __init__(self, fails: Callable[[list[int]], None] = lambda _: None) -> None:
        self.seen: list[list[int]] = []
        self.kept: list[int] = []
        self.asked_to_own = 0
        self.released: list[int] = []
        self.gives = frozenset(range(PARTITIONS))
        self._fails = fails

    async def own(self, partitions: Iterable[int]) -> frozenset[int]:
        """All that the test gives."""
        self.asked_to_own += 1
        return frozenset(partitions) & self.gives

    async def release(self, partitions: Iterable[int]) -> None:
        """Note it."""
        self.released += partitions

    async def __call__(self, batch: Sequence[Taken]) -> Sequence[Message]:
        """A posted fact for each settled one."""
        numbers = [number_of(one.message) for one in batch]
        self.seen.append(numbers)
        self._fails(numbers)
        self.kept += numbers
        return [posted(one.message) for one in batch if isinstance(one.message, PaymentSettled)]


def batch_loop(
    stage: Books, log: TinyLog, *, consumer: Consumer | None = None, count_max: int = 100
) -> BatchLoop:
    """The loop of the ledger round a tiny stage."""
    return BatchLoop(
        "tiny",
        stage,
        consumer or log.ordered(NAMES.settled, "ledger"),
        PUBLISH,
        clock=SystemClock(),
        chance=SystemChance(),
        limits=BatchLimits(count_max, wait_ms=20),
    )


class Desk:
    """A window stage: each message waits at `gate`, fails as the test says, and is settled."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.gate = asyncio.Event()
        self.started: list[int] = []
        self.done: list[int] = []
        self.at_once: list[tuple[int, int]] = []
        self.takes_s = 0.0
        self.fails: Callable[[int], None] = lambda _: None
        self._now: dict[type[Message], int] = {PaymentAccepted: 0, PaymentDeferred: 0}

    def room(self) -> int:
        """As the test says."""
        return self.places

    async def __call__(self, one: Taken) -> Sequence[Message]:
        """A settled payment."""
        number, kind = number_of(one.message), type(one.message)
        self.started.append(number)
        self._now[kind] += 1
        self.at_once.append((self._now[PaymentAccepted], self._now[PaymentDeferred]))
        try:
            await self.gate.wait()
            await asyncio.sleep(self.takes_s)
            self.fails(number)
            self.done.append(number)
            return [fact(number)]
        finally:
            self._now[kind] -= 1


def window_loop(desk: Desk, log: TinyLog, name: str = "desk", **limits: int) -> WindowLoop:
    """The loop of routing round a tiny stage."""
    return WindowLoop(
        name,
        desk,
        log,
        [NAMES.accepted, NAMES.deferred],
        "routing",
        PUBLISH,
        clock=SystemClock(),
        chance=SystemChance(),
        limits=WindowLimits(**{"wait_ms": 20, "scale_every_ms": 20, "delay_ms": 1} | limits),
    )


@asynccontextmanager
async def running(loop: BatchLoop | WindowLoop) -> AsyncIterator[asyncio.Event]:
    """The loop runs inside; gives what stops it. It is stopped, and has to end, afterwards."""
    stop = asyncio.Event()
    task = asyncio.create_task(loop.run(stop))
    try:
        yield stop
        stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await task
    finally:
        await killed(task)


async def killed(task: asyncio.Task[None]) -> None:
    """As a crash does: it gets no chance to finish anything."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(question: Callable[[], bool]) -> None:
    """Wait until it is so."""
    for _ in range(_LOOKS):
        if question():
            return
        await asyncio.sleep(_LOOK_S)
    raise AssertionError("in vain")


async def until_left(log: TinyLog, topic: str, group: str, count: int = 0) -> None:
    """Wait until a group has no more than so many records of a topic to finish."""
    for _ in range(_LOOKS):
        if await log.backlog(topic, group) == count:
            return
        await asyncio.sleep(_LOOK_S)
    raise AssertionError("in vain")
