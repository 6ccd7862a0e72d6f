"""Room: who may hold how many messages, the urgent topic or the low-priority one. Pure."""

from collections.abc import Callable
from typing import Final

LOW_SHARE: Final = 10
"""One in this many places belongs to the low-priority topic while it has something due."""
_TAKES: Final = 4
"""Room is filled in about so many takes: what is taken together shares its round trips."""


class Room:
    """Places for messages, as many as `capacity` gives when it is asked.

    The low-priority topic gets its share while the urgent one has more to do than room, and all
    that is left otherwise. A worker of the urgent topic waits until `take_min` places, and a
    quarter of all, are free.
    """

    def __init__(self, capacity: Callable[[], int], *, take_min: int, take_max: int) -> None:
        self.is_low_due = False
        self._capacity = capacity
        self._take_min = take_min
        self._take_max = take_max
        self._high = 0
        self._low = 0
        self._is_high_idle = True

    @property
    def held(self) -> int:
        """Places that are taken, or reserved by a take under way."""
        return self._high + self._low

    def for_high(self) -> int:
        """How many urgent messages a worker may ask for now; 0: not enough room."""
        capacity = self._capacity()
        kept = max(0, _share_of(capacity) - self._low) if self.is_low_due and capacity > 1 else 0
        free = capacity - kept - self.held
        if self.is_low_due and self._is_high_idle:
            # Waiting for what may never come, a worker keeps no more than one place from the rest,
            # and never the last one: it may be a breaker's only probe.
            return 1 if free > 1 else 0
        handful = min(max(self._take_min, capacity // _TAKES), self._take_max)
        wanted = max(1, min(handful, capacity - kept))
        return min(self._take_max, free) if free >= wanted else 0

    def for_low(self) -> int:
        """How many messages of the low-priority topic may start now."""
        capacity = self._capacity()
        share = capacity if self._is_high_idle else _share_of(capacity)
        return max(0, min(share - self._low, capacity - self.held))

    def reserve_high(self, count: int) -> None:
        """A worker asks for so many."""
        self._high += count

    def took_high(self, asked: int, got: int) -> None:
        """It got so many of those it asked for; fewer: the urgent topic is read to its end."""
        self._high -= asked - got
        self._is_high_idle = got < asked

    def leave_high(self) -> None:
        """An urgent message is finished."""
        self._high -= 1

    def enter_low(self) -> None:
        """A message of the low-priority topic starts."""
        self._low += 1

    def leave_low(self) -> None:
        """It is finished."""
        self._low -= 1


def _share_of(capacity: int) -> int:
    return max(1, capacity // LOW_SHARE)
