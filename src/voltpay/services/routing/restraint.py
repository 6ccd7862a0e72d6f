"""Restraint: how many payments routing holds while accepting waits for a core of the machine.

A backlog that drains at full speed takes every core; a client that pays meanwhile must not wait for
it. What is held is halved each time that accepting asks for it, and grows again with time. Payments
that come and go without a backlog keep more room: to hold them back would make one.
"""

from typing import Final

from voltpay.foundation.runtime.courtesy import Courtesy
from voltpay.foundation.seams.clock import Clock

_OLD_MS: Final = 1_000
"""What was accepted so long before it is routed stood in a backlog."""
_MEMORY_MS: Final = 500
"""Without one that did for so long, there is no backlog any more."""
_FRESH_ROOM: Final = 4
"""Without a backlog, so many times as much is left."""
_SHRINKS_BY: Final = 0.5
_HOLD_MS: Final = 50
"""What was held before goes through in about this: only then a smaller room shows."""
_QUIET_MS: Final = 2_000
_GROWTH_PER_MS: Final = 1.0
_CAREFUL_GROWTH_PER_MS: Final = 0.1
"""So much while accepting has waited of late."""


class Restraint:
    """Bounds what is held; never below `least`, and not for long while nobody asks."""

    def __init__(self, courtesy: Courtesy, clock: Clock, least: int) -> None:
        self._courtesy = courtesy
        self._clock = clock
        self._least = least
        self._most = float(least)
        self._asked_ms = courtesy.asked_ms
        self._seen_ms = clock.monotonic_ms()
        self._shrunk_ms = self._old_ms = self._seen_ms - _QUIET_MS

    def taken(self, accepted_at_ms: int) -> None:
        """A payment of that time begins its way."""
        if self._clock.now_ms() - accepted_at_ms >= _OLD_MS:
            self._old_ms = self._clock.monotonic_ms()

    def most(self, wanted: int) -> int:
        """How many may be held of those that the lanes have room for."""
        now_ms, asked_ms = self._clock.monotonic_ms(), self._courtesy.asked_ms
        quiet_ms = now_ms - self._shrunk_ms
        if quiet_ms >= _HOLD_MS:
            if asked_ms != self._asked_ms:
                self._most *= _SHRINKS_BY
                self._shrunk_ms = now_ms
            else:
                growth = _GROWTH_PER_MS if quiet_ms >= _QUIET_MS else _CAREFUL_GROWTH_PER_MS
                self._most += growth * min(now_ms - self._seen_ms, _HOLD_MS)
        self._asked_ms, self._seen_ms = asked_ms, now_ms
        self._most = max(self._least, min(self._most, wanted))
        is_backlog = now_ms - self._old_ms <= _MEMORY_MS
        most = self._most if is_backlog else max(self._most, _FRESH_ROOM * self._least)
        return int(min(most, wanted))
