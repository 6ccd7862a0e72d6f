"""A bound on calls under way, so that a pool needs no more sockets than calls."""

import asyncio
from typing import Final

from voltpay.foundation.runtime.turns import Turns

WAIT_MAX_MS: Final = 1_000


class Slots:
    """At most `count` calls at once, first come first served; a second's wait at most."""

    def __init__(self, count: int) -> None:
        self._turns = Turns(lambda: count)

    async def take(self, timeout_ms: int) -> int:
        """Take one; gives what is left of `timeout_ms`, 0 if none came free: then none is taken."""
        if timeout_ms <= 0:
            return 0
        if self._turns.take_now():
            return timeout_ms
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(min(timeout_ms, WAIT_MAX_MS) / 1000):
                await self._turns.take()
        except TimeoutError:
            return 0
        left_ms = timeout_ms - int((clock() - began) * 1000)
        if left_ms <= 0:
            self.give_back()
            return 0
        return left_ms

    def give_back(self) -> None:
        """Give one back, to whoever waits longest."""
        self._turns.give_back()
