"""A bound on calls under way, so that a pool needs no more sockets than calls."""

import asyncio
from typing import Final

WAIT_MAX_MS: Final = 1_000


class Slots:
    """At most `count` calls at once; who finds none free waits a second at most."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    async def take(self, timeout_ms: int) -> int:
        """Take one; gives what is left of `timeout_ms`, 0 if none came free: then none is taken."""
        if timeout_ms <= 0:
            return 0
        if not self._free.locked():
            await self._free.acquire()
            return timeout_ms
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(min(timeout_ms, WAIT_MAX_MS) / 1000):
                await self._free.acquire()
        except TimeoutError:
            return 0
        left_ms = timeout_ms - int((clock() - began) * 1000)
        if left_ms <= 0:
            self._free.release()
            return 0
        return left_ms

    def give_back(self) -> None:
        """Give one back, a turn of the loop later: by then its connection is back in the pool."""
        asyncio.get_running_loop().call_soon(self._free.release)
