"""A consumer of a shared topic: one consumer group, the work spread over its members.

A consumer that gives no sign of life for a while is dead, and the others take over what it held.
Nothing is handed out by a blocking read, which would give entries to a consumer that has gone:
waiting is a plain read beside the group. What is read passes no script, whose copies of each
record cost the server more than all else that it does for one.
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
_NEW: Final = ">"

# What hiredis gives for entries: lists of [id, [b"b", body]].
Entries = list[Any]


class SharedConsumer:
    """See `seams.log.Consumer`. Its name is its own: `instance` and a few random letters."""

    def __init__(
        self,
        server: Server,
        publication: Publication,
        topic: str,
        group: str,
        *,
        instance: str,
        alive_ms: int,
    ) -> None:
        self._server = server
        self._publication = publication
        self._topic = topic
        self._stream = stream_of(topic)
        self._failures = failures_of(topic, 0, group)
        self._group = group
        self._name = f"{instance}:{token_hex(4)}"
        self._alive_prefix = alive_prefix_of(group)
        self._heart = Heartbeat(server, self._alive_prefix + self._name, alive_ms=alive_ms)
        self._held: set[int] = set()
        self._doubted: bytes | None = None

    @property
    def owned(self) -> frozenset[int]:
        """None: any member takes any message."""
        return frozenset()

    async def take(self, count_max: int, wait_ms: int) -> Sequence[Delivery]:
        """First what it is in doubt of, then what a dead member left, then what is new."""
        if count_max < 1:
            return []
        waiting = Waiting(self._server, wait_ms)
        while True:
            deliveries = await self._read(count_max)
            if deliveries or waiting.is_over:
                return deliveries
            reached = await self._reached()
            await waiting.until_appended([self._stream], [reached], most_ms=self._heart.period_ms)

    async def _read(self, count_max: int) -> Sequence[Delivery]:
        await self._heart.begin()
        try:
            found = await self._read_doubted(count_max)
            if not found and (whom := self._heart.whom_to_succeed()) != "none":
                words = (self._group, self._name, count_max, self._alive_prefix, whom)
                found = await self._server.run(scripts.TAKE_OVER, [self._stream], words)
            return self._hold(found or await self._read_group(_NEW, count_max))
        except BaseException:
            # The server may have handed out what never arrived here.
            self._doubted = _START
            self._heart.lose()
            raise

    async def _read_group(self, start: Word, count: int) -> Entries:
        group = ("GROUP", self._group, self._name, "COUNT", count)
        reply = await self._server.call("XREADGROUP", *group, "STREAMS", self._stream, start)
        entries: Entries = reply[0][1] if reply else []
        return entries

    async def _reached(self) -> Word:
        """The id that the group has reached: what was appended after it is new to all."""
        for info in await self._server.call("XINFO", "GROUPS", self._stream):
            told = dict(zip(info[::2], info[1::2], strict=True))
            if told[b"name"] == self._group.encode():
                reached: bytes = told[b"last-delivered-id"]
                return reached
        return _START

    def _hold(self, entries: Entries) -> Sequence[Delivery]:
        deliveries = []
        for stream_id, (_, body) in entries:
            position = position_of(stream_id)
            deliveries.append(Delivery(self._topic, 0, position, body, appended_at_ms(position)))
            self._held.add(position)
        return deliveries

    async def _read_doubted(self, count_max: int) -> Entries:
        """What is pending on its name and not in its hands, from where it looked last."""
        found: Entries = []
        while self._doubted is not None and len(found) < count_max:
            entries = await self._read_group(self._doubted, count_max - len(found))
            if not entries:
                self._doubted = None
                break
            self._doubted = entries[-1][0]
            found += await self._not_held(entries)
        return found

    async def _not_held(self, entries: Entries) -> Entries:
        trimmed = [entry[0] for entry in entries if entry[1] is None]
        if trimmed:
            await self._server.call("XACK", self._stream, self._group, *trimmed)
        return [
            entry
            for entry in entries
            if entry[1] is not None and position_of(entry[0]) not in self._held
        ]

    async def finish(self, deliveries: Sequence[Delivery], records: Sequence[Record]) -> None:
        """One script: publish, close claims, acknowledge, forget failures."""
        if not deliveries and not records:
            return
        self._heart.use()
        keys, words = self._publication.encode(records)
        ids = [id_of(one.position) for one in deliveries]
        words += (self._group, self._stream, self._failures, *ids)
        await self._server.run(scripts.FINISH_SHARED, keys, words)
        self._held.difference_update(one.position for one in deliveries)

    async def failed(self, delivery: Delivery) -> int:
        """Counted on the server, until the delivery is finished."""
        self._heart.use()
        words = [id_of(delivery.position)]
        failures: int = await self._server.run(scripts.FAILED, [self._failures], words)
        return failures

    async def resume(self) -> None:
        """What is pending on this consumer's name is read again, oldest first."""
        self._held.clear()
        self._doubted = _START

    async def close(self) -> None:
        """Leave the group. What is pending is open to others at once."""
        await self._heart.stop()
        keys = [self._alive_prefix + self._name, self._stream]
        with suppress(Unavailable):
            await self._server.run(scripts.LEAVE, keys, [self._group, self._name])
