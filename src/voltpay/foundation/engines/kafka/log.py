"""The log on Kafka: `acks=all` of an idempotent producer is what makes an append durable."""

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from voltpay.core.errors import Unavailable
from voltpay.foundation.engines.kafka.admin import LogUpkeep, Trimming
from voltpay.foundation.engines.kafka.checks import Copies
from voltpay.foundation.engines.kafka.connect import Cluster
from voltpay.foundation.engines.kafka.consumer import KafkaConsumer, Marks
from voltpay.foundation.engines.kafka.groups import Groups, StaticName
from voltpay.foundation.engines.kafka.names import Names
from voltpay.foundation.engines.kafka.placing import Placing
from voltpay.foundation.engines.kafka.publish import Outlet
from voltpay.foundation.engines.log_errors import LogAway
from voltpay.foundation.engines.topics import Topics
from voltpay.foundation.seams.log import Record, TopicRow

_UNCLOSED_MAX: Final = 100_000
_ALL_COPIES: Final = Copies()
_TRIMMING: Final = Trimming()
_NO_NAME: Final = StaticName()

log = structlog.get_logger()


class KafkaLog(LogUpkeep):
    """Fills the seams Log and LogAdmin. Nothing is connected before the first use.

    `marks` keeps what Kafka does not. Topics and groups of the cluster begin with `prefix`.
    Raises LogAway after `timeout_ms`; what was appended then may still be there. That the topics
    are as the settings say is looked at every `verify_every_ms`.
    """

    def __init__(
        self,
        url: str,
        *,
        topics: Sequence[TopicRow],
        partitions: int,
        marks: Marks,
        prefix: str = "",
        copies: Copies = _ALL_COPIES,
        trimming: Trimming = _TRIMMING,
        static_name: StaticName = _NO_NAME,
        timeout_ms: int = 5_000,
        verify_every_ms: int = 1_000,
    ) -> None:
        cluster, known = Cluster(url, timeout_ms=timeout_ms), Topics(topics, partitions)
        super().__init__(cluster, known, Names(prefix), marks, copies, trimming)
        self._outlet = Outlet(cluster)
        self._placing = Placing(known, self._names)
        self._groups = Groups(self, cluster, self._names, marks, static_name)
        self._unclosed: deque[str] = deque(maxlen=_UNCLOSED_MAX)
        self._verify_every_s = verify_every_ms / 1000
        self._verified_until = float("-inf")

    async def verify(self) -> None:
        """As TopicMaking does; whoever looks will publish, too."""
        await super().verify()
        self._outlet.open()

    async def backlog(self, topic: str, group: str) -> int:
        """As Figures has it. Who watches it will publish soon: the producer opens meanwhile."""
        self._outlet.open()
        return await super().backlog(topic, group)

    async def append(self, records: Sequence[Record]) -> None:
        """Confirmed by all in-sync replicas. Those without a key go to one partition together."""
        if time.monotonic() >= self._verified_until:
            await self.verify()
            self._verified_until = time.monotonic() + self._verify_every_s
        outgoing, chosen = self._placing.placed(records)
        try:
            await self._outlet.send(outgoing)
        except LogAway:
            self._placing.shun(chosen)
            raise
        await self._close_claims([record.closes for record in records if record.closes])

    async def _close_claims(self, payment_ids: Sequence[str]) -> None:
        """Those that could not be closed are tried again with the next ones."""
        if not payment_ids:
            return
        wanted = [*self._unclosed, *payment_ids]
        self._unclosed.clear()
        try:
            await self._marks.close_claims(wanted)
        except Unavailable as error:
            self._unclosed.extend(wanted)
            log.warning("kafka.claims_not_closed", count=len(self._unclosed), error=str(error))

    def shared(self, topic: str, group: str) -> KafkaConsumer:
        """Another consumer on the member that this process has in the group."""
        self._topics.row(topic)
        return self._groups.shared(topic, group)

    def ordered(self, topic: str, group: str) -> KafkaConsumer:
        """A new member of the group."""
        self._topics.row(topic)
        return self._groups.ordered(topic, group)

    async def reset(self, topic: str, group: str) -> None:
        """Members of this process at once, others within a second or two; waits for them."""
        if members := await self._members(topic, group):
            await self._groups.read_again(topic, group, members)
        else:
            await self._move_back(topic, group)

    async def purge(self, epoch: int) -> None:
        """Nothing is accepted meanwhile; a purge that was interrupted must be repeated."""
        await self._marks.begin_purge()
        for row in self._topics.read:
            await self._empty(row)
            for group in row.groups:
                await self.reset(row.name, group)
        await self._marks.end_purge(epoch)

    async def close(self) -> None:
        """Close all consumers and connections."""
        await self._groups.close()
        self._outlet.close()
        self._onlookers.close()
        self._cluster.close()
