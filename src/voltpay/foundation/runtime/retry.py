"""Waiting before trying again: exponential backoff with full jitter."""

import asyncio
from typing import Final

from voltpay.foundation.seams.clock import Chance

BACKOFF_FIRST_MS: Final = 50
BACKOFF_MAX_MS: Final = 2_000


def backoff_ms(
    attempt: int, chance: float, *, first_ms: int = BACKOFF_FIRST_MS, max_ms: int = BACKOFF_MAX_MS
) -> int:
    """How long to wait before try `attempt` (from 1): uniform up to a doubling bound.

    Full jitter as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """
    return int(min(max_ms, first_ms * 2 ** min(attempt - 1, 20)) * chance)


class Backoff:
    """Counts failures in a row and waits accordingly."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._failures = 0

    def reset(self) -> None:
        """It works again."""
        self._failures = 0

    async def pause(self, stop: asyncio.Event) -> None:
        """Wait before the next try, at most until `stop` is set."""
        self._failures += 1
        await wait_or(stop, backoff_ms(self._failures, self._chance.random()) / 1000)


async def wait_or(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for the event or the time, whichever comes first; gives whether the event is set."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
