"""A consumer of shared topics: one consumer group a stream, the work spread over its members.

A consumer that gives no sign of life for a while is dead, and the others take over what it held.
Nothing is handed out by a blocking read, which would give entries to a consumer that has gone:
waiting is a plain read beside the group, and only then a script takes.
"""

from collections.abc import Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any, Final

from voltpay.core.errors import Unavailable
from voltpay.foundation.engines.redis import scripts
from voltpay.foundation.engines.redis.connect import Server, Word
from voltpay.foundation.engines.redis.heartbeat import Heartbeat
from voltpay.foundation.engines.redis.names import (
    alive_prefix_of,
    appended_at_ms,
    failures_of,
    id_of,
    position_of,
    stream_of,
)
from voltpay.foundation.engines.redis.publish import Publication
from voltpay.foundation.engines.redis.waiting import Waiting
from voltpay.foundation.seams.log import Delivery, Record

_START: Final = b"0-0"

# What hiredis gives for entries: lists of [id, [b"b", body]].
Entries = list[Any]


class SharedConsumer:
    """See `seams.log.Consumer`. Its name is its own: `instance` and a few random letters."""

    def __init__(
        self,
        server: Server,
        publication: Publication,
        topics: Sequence[str],
        group: str,
        *,
        instance: str,
        alive_ms: int,
    ) -> None:
        self._server = server
        self._publication = publication
        self._topics = tuple(topics)
        self._streams = [stream_of(topic) for topic in topics]
        self._group = group
        self._name = f"{instance}:{token_hex(4)}"
        self._alive_prefix = alive_prefix_of(group)
        self._heart = Heartbeat(server, self._alive_prefix + self._name, alive_ms=alive_ms)
        self._held: set[tuple[str, int]] = set()
        self._doubted: dict[int, bytes] = {}

    @property
    def owned(self) -> frozenset[int]:
        """None: any member takes any message."""
        return frozenset()

    async def take(self, count_max: int, wait_ms: int) -> Sequence[Delivery]:
        """By priority, with a tenth for the last topic; first what a dead member left."""
        if count_max < 1:
            return []
        waiting = Waiting(self._server, wait_ms)
        while True:
            deliveries, reached = await self._read(count_max)
            if deliveries or waiting.is_over:
                return deliveries
            await waiting.until_appended(self._streams, reached, most_ms=self._heart.period_ms)

    async def _read(self, count_max: int) -> tuple[Sequence[Delivery], Sequence[bytes]]:
        await self._heart.begin()
        try:
            mine = await self._read_doubted(count_max)
            if mine:
                return self._hold(mine), ()
            whom = self._heart.whom_to_succeed()
            words = (self._group, self._name, count_max, self._alive_prefix, whom)
            reply = await self._server.run(scripts.TAKE_SHARED, self._streams, words)
        except BaseException:
            # The server may have handed out what never arrived here.
            self._doubt()
            self._heart.lose()
            raise
        if reply[0] == 0:
            return (), reply[1:]
        pairs = zip(reply[1::2], reply[2::2], strict=True)
        return self._hold([(number - 1, entries) for number, entries in pairs]), ()

    def _hold(self, found: Sequence[tuple[int, Entries]]) -> Sequence[Delivery]:
        deliveries = []
        for number, entries in found:
            topic = self._topics[number]
            for stream_id, (_, body) in entries:
                position = position_of(stream_id)
                deliveries.append(Delivery(topic, 0, position, body, appended_at_ms(position)))
                self._held.add((topic, position))
        return deliveries

    def _doubt(self) -> None:
        self._doubted = dict.fromkeys(range(len(self._topics)), _START)

    async def _read_doubted(self, count_max: int) -> Sequence[tuple[int, Entries]]:
        found: list[tuple[int, Entries]] = []
        room = count_max
        while self._doubted and room:
            number, start = next(iter(self._doubted.items()))
            entries = await self._pending_after(number, start, room)
            if not entries:
                del self._doubted[number]
                continue
            self._doubted[number] = entries[-1][0]
            new = await self._not_held(number, entries)
            room -= len(new)
            found.append((number, new))
        return found if room < count_max else []

    async def _pending_after(self, number: int, start: bytes, count: int) -> Entries:
        group = ("GROUP", self._group, self._name, "COUNT", count)
        reply = await self._server.call(
            "XREADGROUP", *group, "STREAMS", self._streams[number], start
        )
        entries: Entries = reply[0][1] if reply else []
        return entries

    async def _not_held(self, number: int, entries: Entries) -> Entries:
        trimmed = [entry[0] for entry in entries if entry[1] is None]
        if trimmed:
            await self._server.call("XACK", self._streams[number], self._group, *trimmed)
        topic = self._topics[number]
        return [
            entry
            for entry in entries
            if entry[1] is not None and (topic, position_of(entry[0])) not in self._held
        ]

    async def finish(self, deliveries: Sequence[Delivery], records: Sequence[Record]) -> None:
        """One script: publish, close claims, acknowledge, forget failures."""
        if not deliveries and not records:
            return
        self._heart.use()
        keys, words = self._publication.encode(records)
        await self._server.run(
            scripts.FINISH_SHARED, keys, [*words, *self._acknowledged(deliveries)]
        )
        self._held.difference_update((one.topic, one.position) for one in deliveries)

    def _acknowledged(self, deliveries: Sequence[Delivery]) -> list[Word]:
        by_topic: dict[str, list[Word]] = {}
        for delivery in deliveries:
            by_topic.setdefault(delivery.topic, []).append(id_of(delivery.position))
        words: list[Word] = [self._group]
        for topic, ids in by_topic.items():
            words += (stream_of(topic), failures_of(topic, 0, self._group), len(ids), *ids)
        return words

    async def failed(self, delivery: Delivery) -> int:
        """Counted on the server, until the delivery is finished."""
        self._heart.use()
        key = failures_of(delivery.topic, 0, self._group)
        failures: int = await self._server.run(scripts.FAILED, [key], [id_of(delivery.position)])
        return failures

    async def resume(self) -> None:
        """What is pending on this consumer's name is read again, oldest first."""
        self._held.clear()
        self._doubt()

    async def close(self) -> None:
        """Leave the group. What is pending is open to others at once."""
        await self._heart.stop()
        keys = [self._alive_prefix + self._name, *self._streams]
        with suppress(Unavailable):
            await self._server.run(scripts.LEAVE, keys, [self._group, self._name])
