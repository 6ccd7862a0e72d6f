"""Turns: at most so many POSTs of a lane at once, first come first served."""

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """At most `limit()` holders at once, as it says whenever one leaves."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self.taken = 0
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a turn."""
        if self._waiting or self.taken >= self._limit():
            await self._wait()
        else:
            self.taken += 1

    def give_back(self) -> None:
        """The turn is over."""
        self.taken -= 1
        self._pass_on()

    async def _wait(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            raise

    def _pass_on(self) -> None:
        while self._waiting and self.taken < self._limit():
            turn = self._waiting.popleft()
            if not turn.done():
                self.taken += 1
                turn.set_result(None)
