"""The cache: may be lost at any time, and never shows an older version after a newer one."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Entry(Struct, frozen=True):
    """A value and its version: a number that only grows for a key."""

    key: str
    version: int
    value: bytes
    ttl_ms: int


class Cache(Protocol):
    """Versioned values. An engine that is away raises Unavailable; callers go on without."""

    async def get(self, keys: Sequence[str]) -> Sequence[tuple[int, bytes] | None]:
        """(version, value) for each key; None if absent or dropped."""
        ...

    async def put_if_newer(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """Store each entry unless the key holds a version that is higher or a higher tombstone.

        An equal version replaces. Gives which were stored. One round trip.
        """
        ...

    async def drop(self, keys: Sequence[tuple[str, int]]) -> None:
        """Leave a tombstone of that version: entries below it are refused while it stands.

        It outlives the longest fill (a setting of the engine). A newer value stays.
        """
        ...

    async def clear(self) -> None:
        """Drop everything (sandbox purge)."""
        ...
