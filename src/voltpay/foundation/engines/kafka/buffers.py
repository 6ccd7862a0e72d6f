"""What a member has read and not handed out, and what was handed out and is not finished."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from voltpay.foundation.engines.kafka.rows import Row
from voltpay.foundation.engines.partition import Partition
from voltpay.foundation.seams.log import Delivery


class Buffers:
    """By partition. Nothing is known of one that was not added, or was dropped since."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._partitions: dict[int, Partition] = {}
        self._waiting: dict[int, deque[Delivery]] = {}
        self._again: dict[int, deque[Delivery]] = {}
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
            self._reached.pop(number, None)

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget these."""
        for number in numbers:
            self.empty([number])
            for queues in (self._again, self._waiting):
                queues.pop(number, None)
            self._partitions.pop(number, None)

    def empty(self, numbers: Iterable[int]) -> None:
        """Drop what waits; what was handed out may still be finished."""
        for number in numbers:
            for queues in (self._again, self._waiting):
                self.count -= len(queues.get(number, ()))
                queues[number] = deque()

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
        """What comes again, then what waits."""
        self._first += 1
        found = self._dealt(self._again, count_max)
        found += self._dealt(self._waiting, count_max - len(found))
        self.count -= len(found)
        return found

    def _dealt(self, queues: Mapping[int, deque[Delivery]], count_max: int) -> list[Delivery]:
        """Each partition its share of the count, what is left to those that have more."""
        found: list[Delivery] = []
        filled = sorted(number for number, queue in queues.items() if queue)
        cut = self._first % max(1, len(filled))
        filled = filled[cut:] + filled[:cut]
        while filled and len(found) < count_max:
            share = -(-(count_max - len(found)) // len(filled))
            for number in filled:
                room = min(share, count_max - len(found), len(queues[number]))
                found += [queues[number].popleft() for _ in range(room)]
            filled = [number for number in filled if queues[number]]
        for one in found:
            self._partitions[one.partition].take(one.position)
        return found

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
        """They were handed out and are not committed: they come again, before all that waits."""
        back = [one for one in deliveries if self.is_open(one)]
        self.count += len(back)
        for one in back:
            self._again[one.partition].append(one)
        for number in {one.partition for one in back}:
            self._again[number] = deque(sorted(self._again[number], key=attrgetter("position")))

    def is_open(self, delivery: Delivery) -> bool:
        """Whether it was handed out and is not committed yet."""
        partition = self._partitions.get(delivery.partition)
        return partition is not None and partition.has_open(delivery.position)

    def is_busy(self, number: int) -> bool:
        """Whether anything that was handed out of it is not finished."""
        partition = self._partitions.get(number)
        return partition is not None and partition.has_open()
