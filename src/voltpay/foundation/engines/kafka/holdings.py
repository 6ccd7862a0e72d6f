"""What a member holds just now: partitions, what waits in them, what is to be committed.

Fills Events: it is told, in the loop, of everything that happens to the member.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError

from voltpay.core.errors import VoltpayError
from voltpay.foundation.engines.kafka.buffers import Buffers
from voltpay.foundation.engines.kafka.rows import Row
from voltpay.foundation.seams.log import Delivery

_BUFFERED_MAX: Final = 5_000


class Holdings:
    """`changed` is set whenever a take may find more; `turn` is how often all was set back.

    `has_room` is told whether more may be read, `has_ended` that the member's thread is over.
    """

    def __init__(
        self,
        topic: str,
        has_room: Callable[[bool], None],
        has_ended: Callable[[KafkaError | None], None],
    ) -> None:
        self.buffers = Buffers(topic)
        self.uncommitted: dict[int, int] = {}
        self.has_joined = False
        self.failure: VoltpayError | None = None
        self.turn = 0
        self.changed = asyncio.Event()
        self.was_set_back = asyncio.Event()
        self._going: dict[int, threading.Event] = {}
        self._has_room = has_room
        self._has_ended = has_ended

    @property
    def owned(self) -> frozenset[int]:
        """Partitions that the member has, and keeps."""
        return self.buffers.numbers - self._going.keys()

    @property
    def is_full(self) -> bool:
        """Whether no more may be read for now."""
        return self.buffers.count >= _BUFFERED_MAX

    def take(self, count_max: int) -> list[Delivery]:
        """What waits."""
        found = self.buffers.take(count_max)
        self._has_room(not self.is_full)
        return found

    def finished(self, deliveries: Iterable[Delivery]) -> bool:
        """Note them; gives whether anything is to be committed."""
        self.uncommitted.update(self.buffers.finished(deliveries))
        return bool(self.uncommitted)

    def committed(self, marks: Mapping[int, int]) -> None:
        """These are."""
        for number, mark in marks.items():
            if self.uncommitted.get(number) == mark:
                del self.uncommitted[number]

    def let_go(self) -> None:
        """Release what goes to others, once nothing of it is under way."""
        busy = {
            released
            for number, released in self._going.items()
            if number in self.uncommitted or self.buffers.is_busy(number)
        }
        for released in set(self._going.values()) - busy:
            released.set()

    def clear(self) -> None:
        """There is no member any more."""
        self.left(list(self.buffers.numbers))
        self.has_joined = False
        self.turn = 0

    def arrived(self, rows: Sequence[Row]) -> None:
        """See Events."""
        self.buffers.arrived(rows)
        self.failure = None
        self._has_room(not self.is_full)
        self.changed.set()

    def assigned(self, partitions: Sequence[int]) -> None:
        """See Events."""
        self.buffers.add(partitions)
        for number in partitions:
            self.uncommitted.pop(number, None)
        self.has_joined = True
        self.changed.set()

    def leaving(self, partitions: Sequence[int], released: threading.Event) -> None:
        """See Events."""
        self.buffers.empty(partitions)
        self._going.update(dict.fromkeys(partitions, released))
        if not partitions:
            released.set()
        self.let_go()
        self._has_room(not self.is_full)
        self.changed.set()

    def left(self, partitions: Sequence[int]) -> None:
        """See Events."""
        self.buffers.drop(partitions)
        for number in partitions:
            self._going.pop(number, None)
            self.uncommitted.pop(number, None)
        self._has_room(not self.is_full)
        self.changed.set()

    def set_back(self) -> None:
        """See Events."""
        self.buffers.add(self.buffers.numbers)
        self.uncommitted.clear()
        self.turn += 1
        self._has_room(not self.is_full)
        self.was_set_back.set()

    def failed(self, error: VoltpayError) -> None:
        """See Events."""
        self.failure = error
        self.changed.set()

    def ended(self, error: KafkaError | None) -> None:
        """See Events."""
        self.was_set_back.set()
        self._has_ended(error)
