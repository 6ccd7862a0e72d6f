"""A bound on calls under way, so that a pool needs no more sockets than calls."""

import asyncio
from collections import deque
from typing import Final

WAIT_MAX_MS: Final = 1_000


class Slots:
    """At most `count` calls at once, first come first served; a second's wait at most."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, timeout_ms: int) -> int:
        """Take one; gives what is left of `timeout_ms`, 0 if none came free: then none is taken."""
        if timeout_ms <= 0:
            return 0
        if self._free:
            self._free -= 1
            return timeout_ms
        loop = asyncio.get_running_loop()
        began = loop.time()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(min(timeout_ms, WAIT_MAX_MS) / 1000):
                await turn
        except TimeoutError:
            self._refuse(turn)
            return 0
        except asyncio.CancelledError:
            self._refuse(turn)
            raise
        left_ms = timeout_ms - int((loop.time() - began) * 1000)
        if left_ms <= 0:
            self.give_back()
            return 0
        return left_ms

    def _refuse(self, turn: "asyncio.Future[None]") -> None:
        """It may have been given in the very moment in which nobody waited for it any more."""
        if turn.done() and not turn.cancelled():
            self.give_back()

    def give_back(self) -> None:
        """Give one back, to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
