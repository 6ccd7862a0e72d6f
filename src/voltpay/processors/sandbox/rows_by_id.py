"""Which row an id stands in: tables of numbers, a fifth of what a dict of ids takes."""

from array import array
from collections.abc import Callable
from typing import Final

_SHARDS: Final = 256
"""Each grows by itself: a growth moves a few thousand entries, not all of them at once."""
_SLOTS_FIRST: Final = 16
_ROW: Final = (1 << 32) - 1
_HASHED: Final = (1 << 40) - 1
"""Forty bits of Python's hash: eight tell the shard, the others stand in the slot."""


class RowsById:
    """Open addressing: a slot holds 32 bits of the hash and a row plus one; 0 is free.

    At most half of the slots are taken. `id_of` tells the id of a row.
    """

    def __init__(self, id_of: Callable[[int], bytes]) -> None:
        self._id_of = id_of
        self._counts = [0] * _SHARDS
        self._shards = [_free(_SLOTS_FIRST) for _ in range(_SHARDS)]

    def find(self, payment_id: bytes) -> int | None:
        """The row of an id; None if it has none."""
        hashed = hash(payment_id) & _HASHED
        slots = self._shards[hashed % _SHARDS]
        mask = len(slots) - 1
        tag = hashed // _SHARDS
        at = tag & mask
        while slot := slots[at]:
            if slot >> 32 == tag and self._id_of((slot & _ROW) - 1) == payment_id:
                return (slot & _ROW) - 1
            at = (at + 1) & mask
        return None

    def add(self, payment_id: bytes, row: int) -> None:
        """Note the row of an id that has none."""
        hashed = hash(payment_id) & _HASHED
        shard = hashed % _SHARDS
        self._counts[shard] += 1
        if 2 * self._counts[shard] > len(self._shards[shard]):
            former = self._shards[shard]
            self._shards[shard] = _free(2 * len(former))
            for slot in former:
                if slot:
                    _put(self._shards[shard], slot)
        _put(self._shards[shard], hashed // _SHARDS << 32 | row + 1)


def _free(count: int) -> "array[int]":
    return array("Q", bytes(8 * count))


def _put(slots: "array[int]", slot: int) -> None:
    mask = len(slots) - 1
    at = slot >> 32 & mask
    while slots[at]:
        at = (at + 1) & mask
    slots[at] = slot
