"""Topics are made so that nothing goes by itself, and those that are not are refused."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    ClusterMetadata,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.kafka.connect import Cluster, code_of
from voltpay.foundation.engines.kafka.consumer import Marks
from voltpay.foundation.engines.kafka.figures import Figures
from voltpay.foundation.engines.kafka.names import Names
from voltpay.foundation.engines.log_errors import LogAway, LogNotPrepared
from voltpay.foundation.engines.topics import Topics
from voltpay.foundation.seams.log import TopicRow

_LOOK_AGAIN_S: Final = 0.1
_KEPT: Final = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
}
"""Records go by the trimmer alone, when every group has finished them."""


@dataclass(frozen=True)
class Copies:
    """On how many brokers a record stands, and on how many at least before it is confirmed."""

    replication: int = 3
    in_sync_min: int = 2


class TopicMaking(Figures):
    """What `migrate` asks of the log."""

    def __init__(
        self, cluster: Cluster, topics: Topics, names: Names, marks: Marks, copies: Copies
    ) -> None:
        super().__init__(cluster, topics, names)
        self._marks = marks
        self._copies = copies

    async def prepare(self) -> None:
        """Make what is missing; refuse what could lose a record, or has other partitions."""
        await self._marks.prepare()
        found = await self._counts()
        missing = [row for row in self._topics.read if row.name not in found]
        await self._make(missing)
        for row in self._topics.read:
            if row.name in found and found[row.name] != self._topics.partitions:
                await self._grow(row, found[row.name])
        await self._until_known()
        await self._refuse_unsafe()

    async def check(self) -> None:
        """Topics as they must be, each partition on enough brokers, and the marks' server."""
        await TopicMaking.verify(self)
        await self._refuse_unsafe()
        await self._refuse_too_few()
        await self._marks.check()

    async def _refuse_too_few(self) -> None:
        told = await self._metadata()
        for row in self._topics.read:
            name = self._names.topic(row.name)
            short = [
                number
                for number, partition in told.topics[name].partitions.items()
                if len(partition.isrs) < self._copies.in_sync_min
            ]
            if short:
                raise LogAway(
                    f"{len(short)} of the partitions of {name} are on fewer than"
                    f" {self._copies.in_sync_min} brokers: start those that are away"
                )

    async def _metadata(self) -> ClusterMetadata:
        timeout_s = self._cluster.answer_s
        return await self._cluster.run(lambda: self._cluster.admin.list_topics(timeout=timeout_s))

    async def _counts(self) -> Mapping[str, int]:
        """How many partitions the topics have that are there."""
        told = await self._metadata()
        named = {
            row.name: told.topics.get(self._names.topic(row.name)) for row in self._topics.read
        }
        return {
            name: len(topic.partitions)
            for name, topic in named.items()
            if topic is not None and topic.error is None
        }

    async def verify(self) -> None:
        """Raise LogNotPrepared, or Misconfigured where the partitions are not those of settings."""
        found = await self._counts()
        for row in self._topics.read:
            if row.name not in found:
                raise LogNotPrepared("the log is not prepared: run `voltpay migrate`")
            if found[row.name] != self._topics.partitions:
                raise self._other_partitions(found[row.name])

    def _other_partitions(self, stored: int) -> Misconfigured:
        return Misconfigured(
            f"the log has {stored} partitions, the settings say {self._topics.partitions}",
            "set the stored number, or drain all topics and migrate to more",
        )

    async def _make(self, rows: Sequence[TopicRow]) -> None:
        if not rows:
            return
        settings = {**_KEPT, "min.insync.replicas": str(self._copies.in_sync_min)}
        wanted = [
            NewTopic(
                self._names.topic(row.name),
                self._topics.partitions,
                self._copies.replication,
                config=settings,
            )
            for row in rows
        ]
        try:
            await self._cluster.answers(lambda: self._cluster.admin.create_topics(wanted))
        except LogAway as error:
            if code_of(error) == KafkaError.INVALID_REPLICATION_FACTOR:
                copies = self._copies.replication
                raise Misconfigured(
                    f"the log's cluster has no brokers for {copies} copies of a topic",
                    "set VOLTPAY_KAFKA__REPLICATION to the number that it has",
                ) from error
            if code_of(error) != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    async def _grow(self, row: TopicRow, stored: int) -> None:
        """More partitions, once all is drained: a key may belong to another one then."""
        backlogs = [
            await Figures(
                self._cluster, Topics(self._topics.topics.values(), stored), self._names
            ).backlog(row.name, group)
            for group in row.groups
        ]
        if any(backlogs) or stored > self._topics.partitions:
            raise self._other_partitions(stored)
        wanted = [NewPartitions(self._names.topic(row.name), self._topics.partitions)]
        await self._cluster.answers(lambda: self._cluster.admin.create_partitions(wanted))

    async def _until_known(self) -> None:
        """Brokers learn of a new topic one after the other."""
        for _ in range(100):
            try:
                await self.verify()
                for row in self._topics.read:
                    await self.ends(row.name)
            except (LogNotPrepared, LogAway):
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                return
        raise LogAway("the topics were made, and not all brokers know them yet")

    async def durability(self) -> Mapping[str, str]:
        """What the topics say of how their records are kept, read back from the cluster."""
        told = await self._described()
        wanted = (*_KEPT, "min.insync.replicas")
        found = {name: {values[name] for values in told.values()} for name in wanted}
        return {name: " or ".join(sorted(values)) for name, values in found.items()}

    async def _described(self) -> Mapping[str, Mapping[str, str]]:
        asked = [
            ConfigResource(ResourceType.TOPIC, self._names.topic(row.name))
            for row in self._topics.read
        ]
        found = await self._cluster.answers(lambda: self._cluster.admin.describe_configs(asked))
        return {
            resource.name: {name: str(entry.value) for name, entry in entries.items()}
            for resource, entries in found.items()
        }

    async def _refuse_unsafe(self) -> None:
        for topic, told in (await self._described()).items():
            for name, wanted in _KEPT.items():
                if told[name] != wanted:
                    raise Misconfigured(
                        f"topic {topic} has {name} {told[name]}", f"set {name} {wanted}"
                    )
            if int(told["min.insync.replicas"]) < self._copies.in_sync_min:
                raise Misconfigured(
                    f"topic {topic} has min.insync.replicas {told['min.insync.replicas']}",
                    f"set it to {self._copies.in_sync_min}",
                )
