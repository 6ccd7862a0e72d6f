"""Which row an id stands in: tables of numbers, a tenth of what a dict of ids takes."""

from array import array
from collections.abc import Callable
from typing import Final

_SHARDS: Final = 1024
"""Each grows by itself: a growth reads the ids of a few hundred rows again, not of all at once."""
_SLOTS_FIRST: Final = 16
_FULL: Final = 0.75
"""Share of the slots from which on a shard is doubled: fewer collisions against less memory."""


class _Shard:
    """Open addressing. A slot has a row and eight bits of its hash as tag; 0: it is free."""

    __slots__ = ("count", "rows", "tags")

    def __init__(self, slots: int) -> None:
        self.count = 0
        self.rows = array("I", bytes(4 * slots))
        self.tags = bytearray(slots)

    def put(self, hashed: int, tag: int, row: int) -> None:
        mask = len(self.tags) - 1
        at = hashed & mask
        while self.tags[at]:
            at = (at + 1) & mask
        self.tags[at] = tag
        self.rows[at] = row
        self.count += 1


class RowsById:
    """Rows are numbered from 0, below 2**32. `id_of` tells the id of a row: a tag is no proof."""

    def __init__(self, id_of: Callable[[int], bytes]) -> None:
        self._id_of = id_of
        self._shards = [_Shard(_SLOTS_FIRST) for _ in range(_SHARDS)]

    def find(self, payment_id: bytes) -> int | None:
        """The row of an id; None if it has none."""
        number, tag, hashed = _parts(payment_id)
        shard = self._shards[number]
        tags = shard.tags
        mask = len(tags) - 1
        at = hashed & mask
        while found := tags[at]:
            if found == tag and self._id_of(shard.rows[at]) == payment_id:
                return shard.rows[at]
            at = (at + 1) & mask
        return None

    def add(self, payment_id: bytes, row: int) -> None:
        """Note the row of an id that has none."""
        number, tag, hashed = _parts(payment_id)
        shard = self._shards[number]
        if shard.count >= _FULL * len(shard.tags):
            shard = self._shards[number] = self._doubled(shard)
        shard.put(hashed, tag, row)

    def _doubled(self, former: _Shard) -> _Shard:
        shard = _Shard(2 * len(former.tags))
        for tag, row in zip(former.tags, former.rows, strict=True):
            if tag:
                shard.put(_parts(self._id_of(row))[2], tag, row)
        return shard


def _parts(payment_id: bytes) -> tuple[int, int, int]:
    """Of Python's hash: which shard, the tag (1 to 255) and the place to begin at."""
    hashed = hash(payment_id)
    return hashed % _SHARDS, (hashed >> 10 & 0xFF) or 1, hashed >> 18
