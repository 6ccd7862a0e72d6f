"""The rate of health questions: one in a window, for all clients together."""

import asyncio
from typing import Final

from voltpay.foundation.seams.clock import Clock

_HELD_MAX: Final = 2


class HealthWindow:
    """Lets one caller through a window of `window_ms`; two more are held for a later one."""

    def __init__(self, window_ms: int, clock: Clock) -> None:
        self._window_ms = window_ms
        self._clock = clock
        self._free_at_ms = clock.monotonic_ms()

    async def enter(self) -> int:
        """0 once the caller's turn has come; else the ms after which to come again, at once."""
        wait_ms, retry_ms = self.take_place()
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        return retry_ms

    def take_place(self) -> tuple[int, int]:
        """How long to wait for the turn that was taken; or 0 and when to come again for one."""
        now_ms = self._clock.monotonic_ms()
        wait_ms = max(0, self._free_at_ms - now_ms)
        longest_ms = _HELD_MAX * self._window_ms
        if wait_ms > longest_ms:
            return 0, wait_ms - longest_ms
        self._free_at_ms = now_ms + wait_ms + self._window_ms
        return wait_ms, 0
