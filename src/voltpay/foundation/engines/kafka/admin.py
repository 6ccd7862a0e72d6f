"""What the periodic task and a sandbox's purge ask of the log."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    TopicPartition,
)

from voltpay.foundation.engines.kafka.checks import Copies
from voltpay.foundation.engines.kafka.connect import Cluster, code_of
from voltpay.foundation.engines.kafka.consumer import Marks
from voltpay.foundation.engines.kafka.making import TopicMaking
from voltpay.foundation.engines.kafka.names import Names
from voltpay.foundation.engines.kafka.rows import row_of
from voltpay.foundation.engines.log_errors import LogAway
from voltpay.foundation.engines.topics import Topics
from voltpay.foundation.seams.log import TopicRow

_READ_AT_ONCE: Final = 1_000


@dataclass(frozen=True)
class Trimming:
    """Facts are kept for so long even when all have read them; looked at once in a while."""

    facts_kept_ms: int = 86_400_000
    every_ms: int = 60_000


class LogUpkeep(TopicMaking):
    """Fills the seam LogAdmin, but for `reset` and `purge`, which concern running consumers."""

    def __init__(
        self,
        cluster: Cluster,
        topics: Topics,
        names: Names,
        marks: Marks,
        copies: Copies,
        trimming: Trimming,
    ) -> None:
        super().__init__(cluster, topics, names, marks, copies)
        self._trimming = trimming
        self._trim_at = float("-inf")

    async def trim(self) -> int:
        """What all groups have finished, less a day of facts; looked at once a minute."""
        now = time.monotonic()
        if now < self._trim_at:
            return 0
        self._trim_at = now + self._trimming.every_ms / 1000
        return sum([await self._trim_topic(row) for row in self._topics.read])

    async def _trim_topic(self, row: TopicRow) -> int:
        ends = await self.ends(row.name)
        lows = await self.lows(row.name)
        keep = dict(ends)
        for group in row.groups:
            done = await self.committed(row.name, group)
            keep = {partition: min(keep[partition], done[partition]) for partition in keep}
        if row.ordered and self._trimming.facts_kept_ms:
            since_ms = int(time.time() * 1000) - self._trimming.facts_kept_ms
            kept = await self.offsets(row.name, since_ms)
            # None since then: nothing of it need be kept.
            keep = {p: min(keep[p], kept[p]) if kept[p] >= 0 else keep[p] for p in keep}
        wanted = [
            TopicPartition(self._names.topic(row.name), partition, before)
            for partition, before in keep.items()
            if before > lows[partition]
        ]
        if wanted:
            await self._cluster.answers(lambda: self._cluster.admin.delete_records(wanted))
        return sum(one.offset - lows[one.partition] for one in wanted)

    async def unfinished(self, topic: str, group: str) -> AsyncIterator[Sequence[bytes]]:
        """Beside the group: what is kept and not committed."""
        ends, done = await self.bounds(topic, group)
        left = {p: end for p, end in ends.items() if end > done[p]}
        if not left:
            return
        name = self._names.topic(topic)
        reader = Consumer({**self._cluster.config, "group.id": name, "enable.auto.commit": False})
        reader.assign([TopicPartition(name, p, done[p]) for p in left])
        try:
            while left:
                messages = await self._cluster.run(lambda: reader.consume(_READ_AT_ONCE, 0.2))
                rows = [row_of(one) for one in messages if one.error() is None]
                yield [row.body for row in rows if row.position <= left.get(row.partition, 0)]
                for row in rows:
                    if row.position >= left.get(row.partition, row.position + 1):
                        del left[row.partition]
        finally:
            await self._cluster.run(reader.close)

    async def _members(self, topic: str, group: str) -> int:
        """How many a group has now."""
        name = self._names.group(topic, group)
        try:
            told = await self._cluster.answers(
                lambda: self._cluster.admin.describe_consumer_groups([name])
            )
        except LogAway as error:
            if code_of(error) == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise
        return len(told[name].members)

    async def _move_back(self, topic: str, group: str) -> None:
        """The position of a group without members, to the oldest records."""
        lows = await self.lows(topic)
        cluster_topic = self._names.topic(topic)
        marks = [TopicPartition(cluster_topic, *mark) for mark in lows.items()]
        asked = ConsumerGroupTopicPartitions(self._names.group(topic, group), marks)
        await self._cluster.answers(
            lambda: self._cluster.admin.alter_consumer_group_offsets([asked])
        )

    async def _empty(self, row: TopicRow) -> None:
        """Delete all that is kept."""
        ends = await self.ends(row.name)
        wanted = [TopicPartition(self._names.topic(row.name), *end) for end in ends.items()]
        await self._cluster.answers(lambda: self._cluster.admin.delete_records(wanted))
