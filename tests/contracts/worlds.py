"""What a contract needs of an engine beside its seams: to be lost, to be full, to be looked into.

Another engine joins the contracts with a world of its own and one more parameter in conftest.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from uuid import UUID, uuid4

from tests.contracts.servers import MEMORY_BYTES, StreamServer

from voltpay.core.codec import encode
from voltpay.core.ids import PaymentId
from voltpay.core.messages import PaymentAccepted
from voltpay.core.payment import Fingerprint, Payment
from voltpay.foundation.engines.redis.cache import RedisCache
from voltpay.foundation.engines.redis.intake import RedisIntake
from voltpay.foundation.engines.redis.log import RedisLog
from voltpay.foundation.engines.redis.shared import SharedConsumer
from voltpay.foundation.engines.repeat_window import RepeatWindow
from voltpay.foundation.seams.cache import Cache
from voltpay.foundation.seams.intake import Claim, Intake
from voltpay.foundation.seams.log import Consumer, Delivery, Log, LogAdmin, Record, TopicRow

ALIVE_MS = 400
TOPICS = (
    TopicRow("high", ordered=False, groups=("workers",)),
    TopicRow("low", ordered=False, groups=("workers",), quiet=True),
    TopicRow("news", ordered=False, groups=("left", "right")),
    TopicRow("facts", ordered=True, groups=("books", "views")),
    TopicRow("unread", ordered=False, groups=()),
)


class WholeLog(Log, LogAdmin, Protocol):
    """A log and its upkeep in one."""


class LogWorld(Protocol):
    """A log engine under test: what its makers give, and what may befall it."""

    def log(self, *, instance: str = "one", partitions: int = 4) -> WholeLog: ...

    def intake(self, *, append_timeout_ms: int = 2_000) -> Intake: ...

    async def kill(self) -> None:
        """As a crash does. Returns when its clients have had a chance to notice."""
        ...

    def start(self) -> None: ...

    def pause(self) -> None: ...

    def go_on(self) -> None: ...

    def fill(self) -> None:
        """Bring it to its memory bound."""
        ...

    def kept(self, topic: str) -> int:
        """How many records are kept, over all partitions."""
        ...

    def life_of_claim_s(self, payment_id: UUID) -> int | None:
        """Seconds until the claim expires; None if it never does."""
        ...

    def vanish(self, consumer: Consumer) -> Awaitable[None]:
        """Let a consumer stop as its process would: without a word."""
        ...


class RedisWorld:
    """Valkey or Redis."""

    def __init__(self, server: StreamServer) -> None:
        self._server = server
        self.ask = server.ask
        self.start = server.start
        self.pause = server.pause
        self.go_on = server.go_on
        self._opened: list[Callable[[], Awaitable[None]]] = []

    async def kill(self) -> None:
        """SIGKILL."""
        self._server.kill()
        await asyncio.sleep(0.01)

    def log(
        self, *, instance: str = "one", partitions: int = 4, alive_ms: int = ALIVE_MS
    ) -> RedisLog:
        """A log of one process."""
        made = RedisLog(
            self._server.url,
            topics=TOPICS,
            partitions=partitions,
            instance=instance,
            window=RepeatWindow(1_000, 1_000_000),
            alive_ms=alive_ms,
            timeout_ms=2_000,
        )
        self._opened.append(made.close)
        return made

    def intake(self, *, append_timeout_ms: int = 2_000) -> RedisIntake:
        """An intake of one process."""
        made = RedisIntake(self._server.url, append_timeout_ms=append_timeout_ms)
        self._opened.append(made.close)
        return made

    def fill(self) -> None:
        """The bound is lowered to what is used: nothing more fits."""
        fill_server(self._server)

    def empty_again(self) -> None:
        """Room as before."""
        self._server.ask("CONFIG", "SET", "maxmemory", MEMORY_BYTES)

    def kept(self, topic: str) -> int:
        """Entries of the topic's streams."""
        return sum(
            self._server.ask("XLEN", key) for key in self._server.ask("KEYS", f"log:{topic}*")
        )

    def life_of_claim_s(self, payment_id: UUID) -> int | None:
        """The claim's TTL."""
        return life_of_claim_s(self._server, payment_id)

    async def vanish(self, consumer: Consumer) -> None:
        """Its heart stops; everything else stays as it is."""
        assert isinstance(consumer, SharedConsumer)
        await consumer._heart.stop()

    async def close(self) -> None:
        """Close what was opened."""
        self.start()
        for close in self._opened:
            await close()


def fill_server(server: StreamServer) -> None:
    """Lower the bound to what is used."""
    server.ask("CONFIG", "SET", "maxmemory", 1_000_000)
    assert int(server.ask("INFO", "memory")["used_memory"]) > 0
    used = int(server.ask("INFO", "memory")["used_memory"])
    server.ask("CONFIG", "SET", "maxmemory", max(1, used - 100_000))


def life_of_claim_s(server: StreamServer, payment_id: UUID) -> int | None:
    """TTL of a claim; None if it stays."""
    life: int = server.ask("TTL", b"claim:" + payment_id.bytes)
    assert life != -2, "no such claim"
    return None if life == -1 else life


class CacheWorld:
    """A cache engine under test."""

    def __init__(self, server: StreamServer) -> None:
        self._server = server
        self.ask = server.ask
        self.start = server.start
        self.pause = server.pause
        self.go_on = server.go_on
        self._opened: list[RedisCache] = []

    async def kill(self) -> None:
        """SIGKILL."""
        self._server.kill()
        await asyncio.sleep(0.01)

    def cache(self, *, tombstone_ms: int = 30_000, pause_ms: int = 50) -> Cache:
        """A cache of one process."""
        made = RedisCache(self._server.url, tombstone_ms=tombstone_ms, pause_ms=pause_ms)
        self._opened.append(made)
        return made

    async def close(self) -> None:
        """Close what was opened."""
        for cache in self._opened:
            await cache.close()


def a_payment(payment_id: UUID | None = None) -> Payment:
    """Some payment."""
    return Payment(
        PaymentId(payment_id or uuid4()), 1990, "EUR", "anna", "shop", 1, Fingerprint(b"f" * 8)
    )


def a_record(topic: str, number: int = 0, *, key: str = "", closes: str = "") -> Record:
    """A record whose body is the number."""
    message = PaymentAccepted(a_payment())
    return Record(topic, key, message, str(number).encode(), closes)


def records(topic: str, numbers: Sequence[int] | range, *, key: str = "") -> list[Record]:
    """A record for each number."""
    return [a_record(topic, number, key=key) for number in numbers]


def numbers_of(deliveries: Sequence[Delivery]) -> list[int]:
    """The numbers that the bodies hold."""
    return [int(one.body) for one in deliveries]


def a_claim(
    payment_id: UUID | None = None, *, fingerprint: bytes = b"f" * 8, accepted_at_ms: int = 7
) -> Claim:
    """A claim with its record on the topic `high`."""
    payment = a_payment(payment_id)
    message = PaymentAccepted(payment)
    record = Record("high", "", message, encode(message))
    return Claim(payment.id, Fingerprint(fingerprint), accepted_at_ms, record)
