"""Topics are made so that nothing goes by itself, and grow."""

import asyncio
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError
from confluent_kafka.admin import NewPartitions, NewTopic

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.kafka.checks import KEPT, TopicChecks
from voltpay.foundation.engines.kafka.connect import code_of
from voltpay.foundation.engines.kafka.figures import Figures
from voltpay.foundation.engines.log_errors import LogAway, LogNotPrepared
from voltpay.foundation.engines.topics import Topics
from voltpay.foundation.seams.log import TopicRow

_LOOK_AGAIN_S: Final = 0.1


class TopicMaking(TopicChecks):
    """What `migrate` asks of the log."""

    async def prepare(self) -> None:
        """Make what is missing; refuse what could lose a record, or has other partitions."""
        await self._marks.prepare()
        found = await self.counts()
        missing = [row for row in self._topics.read if row.name not in found]
        await self._make(missing)
        for row in self._topics.read:
            if row.name in found and found[row.name] != self._topics.count_of(row.name):
                await self._grow(row, found[row.name])
        await self._until_known()
        await self.refuse_unsafe()
        await self.refuse_fewer_copies()

    async def _make(self, rows: Sequence[TopicRow]) -> None:
        if not rows:
            return
        settings = {**KEPT, "min.insync.replicas": str(self._copies.in_sync_min)}
        wanted = [
            NewTopic(
                self._names.topic(row.name),
                self._topics.count_of(row.name),
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
        count = self._topics.count_of(row.name)
        if any(backlogs) or stored > count:
            raise self.other_partitions(row.name, stored)
        wanted = [NewPartitions(self._names.topic(row.name), count)]
        await self._cluster.answers(lambda: self._cluster.admin.create_partitions(wanted))

    async def _until_known(self) -> None:
        """Brokers learn of new topics, and of more partitions, one after the other."""
        for _ in range(100):
            try:
                await self.verify()
                for row in self._topics.read:
                    await self.ends(row.name)
            except (LogNotPrepared, LogAway, Misconfigured):
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                return
        await self.verify()
        raise LogAway("the topics were made, and not all brokers know them yet")
