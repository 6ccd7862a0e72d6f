"""Ends and positions, asked of the cluster a topic at a time."""

import asyncio
from collections.abc import Mapping

from confluent_kafka import OFFSET_INVALID, KafkaError, TopicPartition

from voltpay.foundation.engines.kafka.connect import Cluster, code_of
from voltpay.foundation.engines.kafka.names import Names
from voltpay.foundation.engines.kafka.onlookers import END, OLDEST, Onlookers
from voltpay.foundation.engines.log_errors import LogAway
from voltpay.foundation.engines.topics import Topics


class Figures:
    """What the cluster says of topics and groups, by the names that others use."""

    def __init__(self, cluster: Cluster, topics: Topics, names: Names) -> None:
        self._cluster = cluster
        self._topics = topics
        self._names = names
        self._onlookers = Onlookers(cluster.config)

    def _partitions(self, topic: str) -> list[TopicPartition]:
        count, name = self._topics.count_of(topic), self._names.topic(topic)
        return [TopicPartition(name, number) for number in range(count)]

    async def offsets(self, topic: str, since_ms: int) -> Mapping[int, int]:
        """Those of a time, END or OLDEST; by partition, -1 where nothing is as young."""
        count, name = self._topics.count_of(topic), self._names.topic(topic)
        timeout_s = self._cluster.answer_s
        found = await self._cluster.settled(
            lambda: self._onlookers.offsets(name, count, since_ms, timeout_s)
        )
        return {one.partition: one.offset for one in found}

    async def lows(self, topic: str) -> Mapping[int, int]:
        """Offsets of the oldest records that are kept."""
        return await self.offsets(topic, OLDEST)

    async def ends(self, topic: str) -> Mapping[int, int]:
        """Positions of the last records ever appended, trimmed or not."""
        return await self.offsets(topic, END)

    async def committed(self, topic: str, group: str) -> Mapping[int, int]:
        """Offsets that a group has committed; 0 where it has none."""
        name, partitions = self._names.group(topic, group), self._partitions(topic)
        timeout_s = self._cluster.answer_s
        try:
            found = await self._cluster.settled(
                lambda: self._onlookers.committed(name, partitions, timeout_s)
            )
        except LogAway as error:
            if code_of(error) == KafkaError.GROUP_ID_NOT_FOUND:
                return dict.fromkeys(range(len(partitions)), 0)
            raise
        return {one.partition: 0 if one.offset == OFFSET_INVALID else one.offset for one in found}

    async def positions(self, topic: str, group: str) -> Mapping[int, int]:
        """What an ordered group has finished; nothing that was trimmed is open."""
        return await self.committed(topic, group)

    async def unread(self, topic: str, group: str) -> Mapping[int, int]:
        """Ends of those partitions that the group has not finished."""
        ends, done = await self.bounds(topic, group)
        return {p: end for p, end in ends.items() if end > done[p]}

    async def backlog(self, topic: str, group: str) -> int:
        """What is kept and not committed: what a group finished out of turn counts as open."""
        return sum((await self.lag(topic, group)).values())

    async def lag(self, topic: str, group: str) -> Mapping[int, int]:
        """The same by partition."""
        ends, done = await self.bounds(topic, group)
        return {p: max(0, end - done[p]) for p, end in ends.items()}

    async def bounds(self, topic: str, group: str) -> tuple[Mapping[int, int], Mapping[int, int]]:
        """Where each partition ends, and where the group has got to, or its oldest record is."""
        ends, done = await asyncio.gather(self.ends(topic), self.committed(topic, group))
        if all(done[p] >= end for p, end in ends.items()):
            return ends, done
        # A group that never committed, or that was set back while what it had finished was trimmed:
        # what is kept no more is not open.
        lows = await self.lows(topic)
        return ends, {p: max(done[p], lows[p]) for p in ends}
