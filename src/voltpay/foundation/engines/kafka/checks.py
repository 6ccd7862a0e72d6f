"""What the topics are as they stand: refused where they could lose a record, or are others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka.admin import ClusterMetadata, ConfigResource, ResourceType

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.kafka.connect import Cluster
from voltpay.foundation.engines.kafka.consumer import Marks
from voltpay.foundation.engines.kafka.figures import Figures
from voltpay.foundation.engines.kafka.names import Names
from voltpay.foundation.engines.log_errors import LogAway, LogNotPrepared
from voltpay.foundation.engines.topics import Topics

KEPT: Final = {
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


class TopicChecks(Figures):
    """What `doctor`, and every start, ask of the log."""

    def __init__(
        self, cluster: Cluster, topics: Topics, names: Names, marks: Marks, copies: Copies
    ) -> None:
        super().__init__(cluster, topics, names)
        self._marks = marks
        self._copies = copies

    async def check(self) -> None:
        """Topics as they must be, each partition on enough brokers, and the marks' server."""
        await TopicChecks.verify(self)
        await self.refuse_unsafe()
        await self.refuse_fewer_copies()
        await self._refuse_too_few()
        await self._marks.check()

    async def _refuse_too_few(self) -> None:
        """Brokers that are away: they come back, and partitions with them."""
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

    async def refuse_fewer_copies(self) -> None:
        """Topics that were made with fewer copies than the settings say."""
        told = await self._metadata()
        for row in self._topics.read:
            name = self._names.topic(row.name)
            least = min(len(each.replicas) for each in told.topics[name].partitions.values())
            if least < self._copies.replication:
                raise Misconfigured(
                    f"copies of topic {name}: {least}, the settings say {self._copies.replication}",
                    "give it more (kafka-reassign-partitions), or mend VOLTPAY_KAFKA__REPLICATION",
                )

    async def _metadata(self) -> ClusterMetadata:
        timeout_s = self._cluster.answer_s
        return await self._cluster.run(lambda: self._cluster.admin.list_topics(timeout=timeout_s))

    async def counts(self) -> Mapping[str, int]:
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
        found = await self.counts()
        for row in self._topics.read:
            if row.name not in found:
                raise LogNotPrepared("the log is not prepared: run `voltpay migrate`")
            if found[row.name] != self._topics.count_of(row.name):
                raise self.other_partitions(row.name, found[row.name])

    def other_partitions(self, topic: str, stored: int) -> Misconfigured:
        """What is to be said where a topic has another number than the settings give it."""
        wanted = self._topics.count_of(topic)
        return Misconfigured(
            f"topic {self._names.topic(topic)} has {stored} partitions, the settings say {wanted}",
            "set the stored number, or drain all topics and migrate to more",
        )

    async def durability(self) -> Mapping[str, str]:
        """What the topics say of how their records are kept, read back from the cluster."""
        told = await self._described()
        wanted = (*KEPT, "min.insync.replicas")
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

    async def refuse_unsafe(self) -> None:
        for topic, told in (await self._described()).items():
            for name, wanted in KEPT.items():
                if told[name] != wanted:
                    raise Misconfigured(
                        f"topic {topic} has {name} {told[name]}", f"set {name} {wanted}"
                    )
            if int(told["min.insync.replicas"]) < self._copies.in_sync_min:
                raise Misconfigured(
                    f"topic {topic} has min.insync.replicas {told['min.insync.replicas']}",
                    f"set it to {self._copies.in_sync_min}",
                )
