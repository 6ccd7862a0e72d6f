"""What a member has read and not handed out, and what was handed out and is not finished."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from voltpay.foundation.engines.kafka.rows import Row
from voltpay.foundation.engines.partition import Partition
from voltpay.foundation.seams.log import Delivery


class Buffers:
    """By partition. Nothing is known of one that was not added, or was dropped since."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._partitions: dict[int, Partition] = {}
        self._waiting: dict[int, deque[Delivery]] = {}
        self._reached: dict[int, int] = {}
        self._first = 0
        self.count = 0

    @property
    def numbers(self) -> frozenset[int]:
        """The partitions."""
        return frozenset(self._partitions)

    def add(self, numbers: Iterable[int]) -> None:
        """Begin anew with these."""
        for number in numbers:
            self.empty([number])
            self._partitions[number] = Partition(0)
            self._waiting[number] = deque()
            self._reached.pop(number, None)

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget these."""
        for number in numbers:
            self.empty([number])
            self._waiting.pop(number, None)
            self._partitions.pop(number, None)

    def empty(self, numbers: Iterable[int]) -> None:
        """Drop what waits; what was handed out may still be finished."""
        for number in numbers:
            waiting = self._waiting.get(number, ())
            self.count -= len(waiting)
            self._waiting[number] = deque()

    def arrived(self, rows: Sequence[Row]) -> None:
        """Records were read."""
        for number, position, body, at_ms in rows:
            if number in self._partitions:
                delivery = Delivery(self._topic, number, position, body, at_ms)
                self._waiting[number].append(delivery)
                self._reached[number] = position
                self.count += 1

    def has_reached(self, positions: Mapping[int, int]) -> bool:
        """Whether these were read, of the partitions that are known."""
        return all(
            self._reached.get(number, 0) >= position
            for number, position in positions.items()
            if number in self._partitions
        )

    def take(self, count_max: int) -> list[Delivery]:
        """Each partition its share of the count, what is left to those that have more."""
        found: list[Delivery] = []
        filled = sorted(number for number, waiting in self._waiting.items() if waiting)
        self._first += 1
        cut = self._first % max(1, len(filled))
        filled = filled[cut:] + filled[:cut]
        while filled and len(found) < count_max:
            share = -(-(count_max - len(found)) // len(filled))
            for number in filled:
                found += self._taken(number, min(share, count_max - len(found)))
            filled = [number for number in filled if self._waiting[number]]
        self.count -= len(found)
        return found

    def _taken(self, number: int, count_max: int) -> list[Delivery]:
        waiting, partition = self._waiting[number], self._partitions[number]
        taken = [waiting.popleft() for _ in range(min(count_max, len(waiting)))]
        for one in taken:
            partition.take(one.position)
        return taken

    def finished(self, deliveries: Iterable[Delivery]) -> Mapping[int, int]:
        """Note them; gives up to where partitions are finished now that were not before."""
        positions: dict[int, set[int]] = {}
        for one in deliveries:
            positions.setdefault(one.partition, set()).add(one.position)
        marks = {}
        for number, of_it in positions.items():
            if partition := self._partitions.get(number):
                low_water, length = partition.low_water(of_it)
                partition.finish(of_it, low_water)
                if length:
                    marks[number] = low_water
        return marks

    def put_back(self, deliveries: Iterable[Delivery]) -> None:
        """They were handed out and are not committed: they come again, before what waits."""
        for one in sorted(deliveries, key=lambda each: each.position, reverse=True):
            if self.is_open(one):
                self._waiting[one.partition].appendleft(one)
                self.count += 1

    def is_open(self, delivery: Delivery) -> bool:
        """Whether it was handed out and is not committed yet."""
        partition = self._partitions.get(delivery.partition)
        return partition is not None and partition.has_open(delivery.position)

    def is_busy(self, number: int) -> bool:
        """Whether anything that was handed out of it is not finished."""
        partition = self._partitions.get(number)
        return partition is not None and partition.has_open()
