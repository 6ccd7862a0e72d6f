"""A consumer of an ordered topic: a stream a partition, read beside any consumer group.

The group's position is a cursor that moves forward only, in the script that publishes. Who may
work on a partition is decided elsewhere (a lock in PostgreSQL): here every consumer owns all.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from voltpay.foundation.engines.partition import Partition
from voltpay.foundation.engines.redis import scripts
from voltpay.foundation.engines.redis.connect import Server, Word
from voltpay.foundation.engines.redis.names import (
    appended_at_ms,
    cursor_of,
    cursor_text,
    failures_of,
    id_of,
    position_of,
    position_of_cursor,
)
from voltpay.foundation.engines.redis.publish import Publication
from voltpay.foundation.engines.redis.waiting import Waiting
from voltpay.foundation.seams.log import Delivery, Record

_NEVER: Final = b"0"


class OrderedConsumer:
    """See `seams.log.Consumer`."""

    def __init__(self, server: Server, publication: Publication, topic: str, group: str) -> None:
        self._server = server
        self._publication = publication
        self._topic = topic
        self._group = group
        self._cursor = cursor_of(topic, group)
        self._streams = list(publication.streams_of(topic))
        self._resets = _NEVER
        self._partitions: list[Partition] = []
        self._first = 0
        self._finishing = asyncio.Lock()

    @property
    def owned(self) -> frozenset[int]:
        """All partitions."""
        return frozenset(range(len(self._streams)))

    async def take(self, count_max: int, wait_ms: int) -> Sequence[Delivery]:
        """Each partition its share of the count, what is left to those that have more."""
        if count_max < 1:
            return []
        waiting = Waiting(self._server, wait_ms)
        while True:
            deliveries = await self._read(count_max)
            if deliveries or waiting.is_over:
                return deliveries
            reached = [id_of(one.read) for one in self._partitions]
            if reached:
                await waiting.until_appended(self._streams, reached)

    async def _read(self, count_max: int) -> Sequence[Delivery]:
        if not self._partitions:
            await self._read_cursors()
        partitions, count = self._partitions, len(self._streams)
        share = -(-count_max // count)
        # Whether it was set back is asked last: what was read before that counts for nothing.
        found, resets = await self._server.calls(
            self._reading(share, range(count)), ("HGET", self._cursor, "resets")
        )
        if self._partitions is not partitions:
            return await self._read(count_max)
        if (resets or _NEVER) != self._resets:
            self._partitions = []
            return await self._read(count_max)
        entries = {stream.decode(): some for stream, some in found or ()}
        deliveries: list[Delivery] = []
        hungry: list[int] = []
        for turn in range(count):
            partition = (self._first + turn) % count
            some = entries.get(self._streams[partition], ())
            deliveries += self._taken(partition, some[: count_max - len(deliveries)])
            if len(some) == share:
                hungry.append(partition)
        self._first = (self._first + 1) % count
        for partition in hungry:
            if len(deliveries) < count_max and self._partitions is partitions:
                deliveries += await self._more_of(partition, count_max - len(deliveries))
        return deliveries

    async def _read_cursors(self) -> None:
        """Where the group stands, and how often it was set back, in one command."""
        fields = range(len(self._streams))
        resets, *cursors = await self._server.call("HMGET", self._cursor, "resets", *fields)
        self._resets = resets or _NEVER
        self._partitions = [Partition(position_of_cursor(text)) for text in cursors]

    def _reading(self, count: int, partitions: Iterable[int]) -> tuple[Word, ...]:
        """Up to so many records of each partition, behind what was read of it."""
        some = list(partitions)
        streams = [self._streams[number] for number in some]
        reached = [id_of(self._partitions[number].read) for number in some]
        return ("XREAD", "COUNT", count, "STREAMS", *streams, *reached)

    async def _more_of(self, partition: int, count: int) -> Sequence[Delivery]:
        """What others have left of the count goes to who has more."""
        partitions = self._partitions
        found = await self._server.call(*self._reading(count, [partition]))
        if self._partitions is not partitions:
            return ()
        return self._taken(partition, found[0][1] if found else ())

    # What hiredis gives for entries: lists of [id, [b"b", body]].
    def _taken(self, partition: int, entries: Sequence[Any]) -> Sequence[Delivery]:
        state, deliveries = self._partitions[partition], []
        for stream_id, (_, body) in entries:
            position = position_of(stream_id)
            state.take(position)
            deliveries.append(
                Delivery(self._topic, partition, position, body, appended_at_ms(position))
            )
        return deliveries

    async def finish(self, deliveries: Sequence[Delivery], records: Sequence[Record]) -> None:
        """One script: publish, close claims, move the cursors, forget failures."""
        if not deliveries and not records:
            return
        finished: dict[int, set[int]] = {}
        for delivery in deliveries:
            finished.setdefault(delivery.partition, set()).add(delivery.position)
        keys, words = self._publication.encode(records)
        # One at a time: two at once would each see the other's deliveries as open, and the cursor
        # would stay behind both.
        async with self._finishing:
            partitions = self._partitions
            marks = self._low_water_marks(finished)
            words += (self._cursor, len(marks), *self._moves(marks))
            words += self._forgotten_failures(finished)
            set_back = await self._server.run(scripts.FINISH_ORDERED, keys, words)
            if set_back:
                await self.resume()
            elif partitions is self._partitions and partitions:
                for number, positions in finished.items():
                    state = partitions[number]
                    state.finish(positions, marks.get(number, (state.cursor, 0))[0])

    def _low_water_marks(self, finished: dict[int, set[int]]) -> dict[int, tuple[int, int]]:
        if not self._partitions:
            return {}
        marks = {
            number: self._partitions[number].low_water(positions)
            for number, positions in finished.items()
        }
        return {number: mark for number, mark in marks.items() if mark[1]}

    def _moves(self, marks: dict[int, tuple[int, int]]) -> list[Word]:
        words: list[Word] = []
        for number, (low_water, length) in marks.items():
            cursor = cursor_text(self._partitions[number].cursor)
            words += (number, self._streams[number], cursor, cursor_text(low_water), length)
        return words

    def _forgotten_failures(self, finished: dict[int, set[int]]) -> list[Word]:
        words: list[Word] = []
        for number, positions in finished.items():
            failures = failures_of(self._topic, number, self._group)
            words += (failures, len(positions), *(id_of(position) for position in positions))
        return words

    async def failed(self, delivery: Delivery) -> int:
        """Counted on the server, until the delivery is finished."""
        key = failures_of(delivery.topic, delivery.partition, self._group)
        failures: int = await self._server.run(scripts.FAILED, [key], [id_of(delivery.position)])
        return failures

    async def resume(self) -> None:
        """Read again from the cursors, as they stand at the next take."""
        self._partitions = []
        self._resets = _NEVER

    async def close(self) -> None:
        """Nothing to give back: the cursors stand, and connections belong to the log."""
        await self.resume()
