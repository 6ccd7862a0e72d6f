"""Where the lines of a file begin and how long they are: little more than a byte a line."""

from array import array
from typing import Final

_EVERY: Final = 64


class Extents:
    """Lines one behind the other, each shorter than 256 bytes; of every 64th the begin is kept."""

    def __init__(self) -> None:
        self._lengths = bytearray()
        self._begins = array("Q")
        self._end = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def append(self, length: int) -> None:
        """Note the next line."""
        if len(self._lengths) % _EVERY == 0:
            self._begins.append(self._end)
        self._lengths.append(length)
        self._end += length

    def __getitem__(self, number: int) -> tuple[int, int]:
        """Begin and length of a line, counted from 0."""
        block = number // _EVERY
        between = sum(self._lengths[block * _EVERY : number])
        return self._begins[block] + between, self._lengths[number]
