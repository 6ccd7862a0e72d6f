"""Partitions: which one a key belongs to, and what a consumer knows of one that it reads."""

from collections import OrderedDict
from zlib import crc32


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key. Fixed for good: CRC-32 of its UTF-8 bytes, modulo."""
    return crc32(key.encode()) % partitions


class Partition:
    """How far one partition was read, and which of what was read is finished."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.read = cursor
        self._open: OrderedDict[int, bool] = OrderedDict()

    def take(self, position: int) -> None:
        """Note a position as read and open. Positions come in order."""
        self.read = position
        self._open[position] = False

    def has_open(self, position: int | None = None) -> bool:
        """Whether this position, or any, waits for its turn to be committed."""
        return bool(self._open) if position is None else position in self._open

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
