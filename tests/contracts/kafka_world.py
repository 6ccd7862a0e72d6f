"""Kafka under the contracts: one broker, a Valkey for the claims, a prefix of its own a test."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from secrets import token_hex
from uuid import UUID

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from tests.brokers import Brokers
from tests.contracts.servers import MEMORY_BYTES, StreamServer
from tests.contracts.worlds import TOPICS, fill_server, life_of_claim_s

from voltpay.foundation.engines.claimed import ClaimedIntake
from voltpay.foundation.engines.kafka.admin import Trimming
from voltpay.foundation.engines.kafka.checks import Copies
from voltpay.foundation.engines.kafka.consumer import KafkaConsumer
from voltpay.foundation.engines.kafka.groups import StaticName
from voltpay.foundation.engines.kafka.log import KafkaLog
from voltpay.foundation.engines.redis.claims import RedisClaims
from voltpay.foundation.engines.repeat_window import RepeatWindow
from voltpay.foundation.seams.log import Consumer

_NUMBERS = count(1)
ONE_COPY = Copies(1, 1)


class KafkaServers:
    """A broker, and the server that keeps the claims beside it."""

    def __init__(self, libs: Path, claims: StreamServer, **settings: object) -> None:
        self.brokers = Brokers(libs, **settings)
        self.claims = claims

    def empty(self) -> None:
        """Both running; topics of tests before have another prefix."""
        self.start()
        self.claims.empty()

    def start(self) -> None:
        """Both."""
        self.brokers.start()
        self.claims.start()

    def kill(self) -> None:
        """Both at once."""
        self.brokers.kill()
        self.claims.kill()

    def remove(self) -> None:
        """Kill them and delete their folders."""
        self.brokers.remove()
        self.claims.remove()


class KafkaWorld:
    """Fills LogWorld."""

    def __init__(self, servers: KafkaServers) -> None:
        self.servers = servers
        self.prefix = f"t{next(_NUMBERS)}."
        self.start = servers.start
        self.pause = servers.brokers.pause
        self.go_on = servers.brokers.go_on
        self._logs: list[KafkaLog] = []
        self._opened: list[Callable[[], Awaitable[None]]] = []

    async def kill(self) -> None:
        """SIGKILL, for both."""
        self.servers.kill()
        await asyncio.sleep(0.01)

    def log(
        self, *, instance: str = "one", partitions: int = 4, copies: Copies = ONE_COPY
    ) -> KafkaLog:
        """A log of one process."""
        claims = self.claims()
        made = KafkaLog(
            self.servers.brokers.url,
            topics=TOPICS,
            partitions=partitions,
            marks=claims,
            prefix=self.prefix,
            copies=copies,
            trimming=Trimming(facts_kept_ms=0, every_ms=0),
            static_name=StaticName(f"{instance}-{token_hex(4)}", flush_s=3),
            timeout_ms=4_000,
            verify_every_ms=0,
        )
        self._opened.append(made.close)
        self._logs.append(made)
        return made

    def claims(self) -> RedisClaims:
        """What is beside the log, for one process."""
        made = RedisClaims(self.servers.claims.url, window=RepeatWindow(1_000, 1_000_000))
        self._opened.append(made.close)
        return made

    def intake(self, *, append_timeout_ms: int = 2_000) -> ClaimedIntake:
        """An intake of one process."""
        log = self._logs[0] if self._logs else self.log()
        return ClaimedIntake(self.claims(), log.append, append_timeout_ms=append_timeout_ms)

    def fill(self) -> None:
        """What is bounded by memory is the server of the claims."""
        fill_server(self.servers.claims)

    def empty_again(self) -> None:
        """Room as before."""
        self.servers.claims.ask("CONFIG", "SET", "maxmemory", MEMORY_BYTES)

    def kept(self, topic: str) -> int:
        """Offsets of the ends, less those of the oldest records."""
        servers = self.servers.brokers.addresses
        admin = AdminClient({"bootstrap.servers": ",".join(servers)})
        name = f"{self.prefix}{topic}"
        found = admin.list_topics(timeout=5).topics.get(name)
        if found is None:
            return 0
        wanted = [TopicPartition(name, number) for number in found.partitions]
        ends, lows = (
            sum(one.result().offset for one in asked.values())
            for asked in (
                admin.list_offsets(dict.fromkeys(wanted, OffsetSpec.latest())),
                admin.list_offsets(dict.fromkeys(wanted, OffsetSpec.earliest())),
            )
        )
        return ends - lows

    def life_of_claim_s(self, payment_id: UUID) -> int | None:
        """The claim's TTL."""
        return life_of_claim_s(self.servers.claims, payment_id)

    async def vanish(self, consumer: Consumer) -> None:
        """A static member that ends keeps its partitions until its session is over."""
        assert isinstance(consumer, KafkaConsumer)
        await consumer.reader.close()

    async def close(self) -> None:
        """Close what was opened."""
        self.start()
        for close in self._opened:
            await close()
