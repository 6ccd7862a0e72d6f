"""The groups that this process is a member of."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from voltpay.core.errors import Unavailable
from voltpay.foundation.engines.kafka.connect import Cluster
from voltpay.foundation.engines.kafka.consumer import KafkaConsumer, Marks
from voltpay.foundation.engines.kafka.membership import GroupProtocol, Membership
from voltpay.foundation.engines.kafka.names import Names
from voltpay.foundation.engines.kafka.reader import Reader
from voltpay.foundation.engines.log_errors import LogAway
from voltpay.foundation.seams.log import Record

_RESETS_EVERY_S: Final = 1.0
_RESET_LOOK_S: Final = 0.1
_RESET_LOOKS: Final = 300

log = structlog.get_logger()


@dataclass(frozen=True)
class StaticName:
    """With a name of its own a process that comes back soon finds its partitions again.

    Partitions that go to another consumer wait up to `flush_s` for what was taken of them.
    """

    name: str = ""
    flush_s: float = 10.0


class LogOfGroups(Protocol):
    """What groups need of the log that they read."""

    def append(self, records: Sequence[Record]) -> Awaitable[None]:
        """Durable on return."""
        ...

    def verify(self) -> Awaitable[None]:
        """Raise LogNotPrepared or Misconfigured."""
        ...

    def unread(self, topic: str, group: str) -> Awaitable[Mapping[int, int]]:
        """Ends of the partitions that a group has not finished."""
        ...


class Groups:
    """Makes consumers: those of a shared topic share one member, each ordered one is its own."""

    def __init__(
        self,
        source: LogOfGroups,
        cluster: Cluster,
        names: Names,
        marks: Marks,
        static_name: StaticName,
    ) -> None:
        self._source = source
        self._cluster = cluster
        self._names = names
        self._marks = marks
        self._static_name = static_name
        self._protocol = GroupProtocol()
        self._consumers: dict[Reader, set[KafkaConsumer]] = {}
        self._shared: dict[tuple[str, str], Reader] = {}
        self._watching: dict[Reader, asyncio.Task[None]] = {}
        self._followed: dict[Reader, int] = {}

    def shared(self, topic: str, group: str) -> KafkaConsumer:
        """Another consumer on the member that this process has in the group."""
        key = topic, group
        if key not in self._shared:
            self._shared[key] = self._reader(topic, group)
        return self._consumer(self._shared[key], topic, group, is_ordered=False)

    def ordered(self, topic: str, group: str) -> KafkaConsumer:
        """A new member of the group."""
        return self._consumer(self._reader(topic, group), topic, group, is_ordered=True)

    def _reader(self, topic: str, group: str) -> Reader:
        membership = Membership(
            topic,
            self._names.topic(topic),
            self._names.group(topic, group),
            self._static_name.name,
            self._static_name.flush_s,
        )
        source = self._source
        return Reader(
            self._cluster, membership, self._protocol, lambda: source.unread(topic, group)
        )

    def _consumer(
        self, reader: Reader, topic: str, group: str, *, is_ordered: bool
    ) -> KafkaConsumer:
        async def verified() -> None:
            if reader in self._watching:
                return
            await self._source.verify()
            # Another consumer of the same member may have been faster.
            if reader not in self._watching:
                watching = self._follow_resets(reader, topic, group)
                self._watching[reader] = asyncio.create_task(watching)

        consumer = KafkaConsumer(
            reader,
            self._marks,
            topic,
            group,
            is_ordered=is_ordered,
            publish=self._source.append,
            verify=verified,
            left=self._left,
        )
        self._consumers.setdefault(reader, set()).add(consumer)
        return consumer

    async def _left(self, consumer: KafkaConsumer) -> None:
        """The last consumer of a member takes it along."""
        reader = consumer.reader
        consumers = self._consumers.get(reader, set())
        consumers.discard(consumer)
        if consumers:
            return
        self._consumers.pop(reader, None)
        self._shared = {key: one for key, one in self._shared.items() if one is not reader}
        self._followed.pop(reader, None)
        if watching := self._watching.pop(reader, None):
            watching.cancel()
        await reader.close()

    async def _follow_resets(self, reader: Reader, topic: str, group: str) -> None:
        """Read again when somebody asked this group to, as another process may."""
        while True:
            before = self._followed.get(reader)
            try:
                asked = await self._marks.resets(topic, group)
                # What was followed meanwhile may be newer than this answer.
                if self._followed.get(reader) == before:
                    self._followed[reader] = asked
                    if before not in {None, asked}:
                        await self._follow(reader, topic, group, asked)
            except Unavailable as error:
                log.info("kafka.resets_not_seen", topic=topic, group=group, error=str(error))
            await asyncio.sleep(_RESETS_EVERY_S)

    async def _follow(self, reader: Reader, topic: str, group: str, asked: int) -> None:
        self._followed[reader] = asked
        await reader.read_again()
        await self._marks.note_reset(topic, group, asked)

    async def read_again(self, topic: str, group: str, members: int) -> None:
        """All members, here and elsewhere, from the oldest record. Raises LogAway."""
        name = self._names.group(topic, group)
        asked = await self._marks.wish_reset(topic, group)
        for reader in list(self._consumers):
            if reader.membership.group == name and self._followed.get(reader) != asked:
                await self._follow(reader, topic, group, asked)
        for _ in range(_RESET_LOOKS):
            if await self._marks.resets_done(topic, group, asked) >= members:
                return
            await asyncio.sleep(_RESET_LOOK_S)
        raise LogAway(f"members of {name} do not read again: stop them, and try again")

    async def close(self) -> None:
        """Close all consumers."""
        for consumers in list(self._consumers.values()):
            for consumer in list(consumers):
                await consumer.close()
