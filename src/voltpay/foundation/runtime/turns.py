"""Turns: at most so many at once, first come first served, and none is lost to who gives up."""

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """At most `limit()` holders at once, as it says whenever one leaves."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self.taken = 0
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a turn if nobody need wait for one."""
        if self._waiting or self.taken >= self._limit():
            return False
        self.taken += 1
        return True

    async def take(self) -> None:
        """Wait for a turn."""
        if not self.take_now():
            await self._wait()

    def give_back(self) -> None:
        """The turn is over."""
        self.taken -= 1
        self._pass_on()

    def let_all_pass(self) -> None:
        """Whoever waits need not, whatever the limit: there is nothing to wait for any more."""
        while self._waiting:
            self._give(self._waiting.popleft())

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
            self._give(self._waiting.popleft())

    def _give(self, turn: "asyncio.Future[None]") -> None:
        if not turn.done():
            self.taken += 1
            turn.set_result(None)
