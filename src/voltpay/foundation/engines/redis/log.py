"""The log on one Redis or Valkey: `appendfsync always` is what makes an append durable."""

from collections.abc import Mapping, Sequence
from typing import Final
from weakref import WeakSet

from voltpay.core.errors import Misconfigured, VoltpayError
from voltpay.foundation.engines.log_errors import LogAway, LogNotPrepared
from voltpay.foundation.engines.redis import scripts
from voltpay.foundation.engines.redis.admin import LogUpkeep
from voltpay.foundation.engines.redis.connect import Server
from voltpay.foundation.engines.redis.names import cursor_of, position_of, position_of_cursor
from voltpay.foundation.engines.redis.ordered import OrderedConsumer
from voltpay.foundation.engines.redis.publish import Publication
from voltpay.foundation.engines.redis.shared import SharedConsumer
from voltpay.foundation.engines.repeat_window import RepeatWindow
from voltpay.foundation.seams.log import Record, TopicRow

_APPENDED_AT_ONCE_MAX: Final = 1_000


class RedisLog(LogUpkeep):
    """Fills the seams Log and LogAdmin. Nothing is connected before the first use.

    `instance` names this process among all that ever ran. A claim that a record closes expires
    after its `window`. A consumer without a sign of life for `alive_ms` is dead. A call
    without an answer within `timeout_ms` raises LogAway, and may still have its effect.
    """

    def __init__(
        self,
        url: str,
        *,
        topics: Sequence[TopicRow],
        partitions: int,
        instance: str,
        window: RepeatWindow | None = None,
        alive_ms: int = 5_000,
        timeout_ms: int = 5_000,
    ) -> None:
        publication = Publication(topics, partitions=partitions, window=window or RepeatWindow())
        super().__init__(_server(url, partitions, timeout_ms), publication)
        self._instance = instance
        self._alive_ms = alive_ms
        self._consumers: WeakSet[SharedConsumer] = WeakSet()

    async def append(self, records: Sequence[Record]) -> None:
        """On disk on return. More than a thousand records go in several steps, in order."""
        for start in range(0, len(records), _APPENDED_AT_ONCE_MAX):
            part = records[start : start + _APPENDED_AT_ONCE_MAX]
            await self._server.run(scripts.APPEND, *self._publication.encode(part))

    def shared(self, topic: str, group: str) -> SharedConsumer:
        """A new member of the group."""
        consumer = SharedConsumer(
            self._server,
            self._publication,
            topic,
            group,
            instance=self._instance,
            alive_ms=self._alive_ms,
        )
        self._consumers.add(consumer)
        return consumer

    def ordered(self, topic: str, group: str) -> OrderedConsumer:
        """A new reader of all partitions."""
        return OrderedConsumer(self._server, self._publication, topic, group)

    async def backlog(self, topic: str, group: str) -> int:
        """Exact: what was ever appended less what the group has finished."""
        return sum((await self.lag(topic, group)).values())

    async def lag(self, topic: str, group: str) -> Mapping[int, int]:
        """The same by partition: a shared topic has one."""
        streams = self._publication.streams_of(topic)
        if self._publication.row(topic).ordered:
            keys = [cursor_of(topic, group), *streams]
            return dict(enumerate(await self._server.run(scripts.BACKLOG_ORDERED, keys)))
        return {0: await self._server.run(scripts.BACKLOG_SHARED, streams, [group])}

    async def ends(self, topic: str) -> Mapping[int, int]:
        """Positions of the last records ever appended, trimmed or not."""
        ids = await self._server.run(scripts.ENDS, self._publication.streams_of(topic))
        return {partition: position_of(end) for partition, end in enumerate(ids)}

    async def positions(self, topic: str, group: str) -> Mapping[int, int]:
        """The cursors of an ordered group."""
        partitions = range(len(self._publication.streams_of(topic)))
        texts = await self._server.call("HMGET", cursor_of(topic, group), *partitions)
        return dict(zip(partitions, map(position_of_cursor, texts), strict=True))

    async def close(self) -> None:
        """Close all consumers and connections."""
        for consumer in list(self._consumers):
            await consumer.close()
        await self._server.close()


def _server(url: str, partitions: int, timeout_ms: int) -> Server:
    def other_partitions(stored: str) -> VoltpayError:
        return Misconfigured(
            f"the log has {stored} partitions, the settings say {partitions}",
            "set the stored number, or drain all ordered topics and migrate",
        )

    def not_prepared(_: str) -> VoltpayError:
        return LogNotPrepared("the log is not prepared: run `voltpay migrate`")

    errors = {
        "NOGROUP": not_prepared,
        "NOTPREPARED": not_prepared,
        "PARTITIONS": other_partitions,
    }
    return Server(url, away=LogAway, slow=LogAway, errors=errors, timeout_ms=timeout_ms)
