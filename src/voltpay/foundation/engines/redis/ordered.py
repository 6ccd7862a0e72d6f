"""A consumer of an ordered topic: a stream a partition, read beside any consumer group.

The group's position is a cursor that moves forward only, in the script that publishes. Who may
work on a partition is decided elsewhere (a lock in PostgreSQL): here every consumer owns all.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

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

_UNKNOWN: Final = b""


class _Partition:
    """How far one partition was read, and which of what was read is finished."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.read = cursor
        self._open: OrderedDict[int, bool] = OrderedDict()

    def take(self, position: int) -> None:
        """Note a position as read and open. Positions come in order."""
        self.read = position
        self._open[position] = False

    def low_water(self, finished: set[int]) -> tuple[int, int]:
        """Last position of the run of finished ones from the cursor, and its length."""
        last, length = self.cursor, 0
        for position, is_finished in self._open.items():
            if not (is_finished or position in finished):
                break
            last, length = position, length + 1
        return last, length

    def finish(self, finished: set[int], low_water: int) -> None:
        """Note what is finished, and that the cursor stands at the low-water mark."""
        for position in finished & self._open.keys():
            self._open[position] = True
        while self._open and next(iter(self._open)) <= low_water:
            self._open.popitem(last=False)
        self.cursor = low_water


class OrderedConsumer:
    """See `seams.log.Consumer`."""

    def __init__(self, server: Server, publication: Publication, topic: str, group: str) -> None:
        self._server = server
        self._publication = publication
        self._topic = topic
        self._group = group
        self._cursor = cursor_of(topic, group)
        self._streams = list(publication.streams_of(topic))
        self._resets = _UNKNOWN
        self._partitions: list[_Partition] = []
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
        known, partitions = self._resets, self._partitions
        positions = [id_of(one.read) for one in partitions]
        keys = [self._cursor, *self._streams]
        reply = await self._server.run(
            scripts.TAKE_ORDERED, keys, [count_max, known, self._first, *positions]
        )
        if self._partitions is not partitions:
            return await self._read(count_max)
        if reply[0] != known:
            self._partitions = [_Partition(position_of_cursor(text)) for text in reply[1:]]
            self._resets = reply[0]
            return await self._read(count_max)
        self._first = (self._first + 1) % len(self._streams)
        return self._deliveries(reply[1:])

    # What hiredis gives: a partition, then its entries as lists of [id, [b"b", body]].
    def _deliveries(self, reply: list[Any]) -> Sequence[Delivery]:
        deliveries = []
        for partition, entries in zip(reply[::2], reply[1::2], strict=True):
            state = self._partitions[partition]
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
        self._resets = _UNKNOWN

    async def close(self) -> None:
        """Nothing to give back: the cursors stand, and connections belong to the log."""
        await self.resume()
