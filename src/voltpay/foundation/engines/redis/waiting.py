"""Waiting for an append without taking it."""

import asyncio
from collections.abc import Sequence
from typing import Final

from voltpay.foundation.engines.redis.connect import Server, Word

_GRACE_MS: Final = 2_000


class Waiting:
    """The time that one `take` may spend waiting: `wait_ms` from now."""

    def __init__(self, server: Server, wait_ms: int) -> None:
        self._server = server
        self._ends_at = asyncio.get_running_loop().time() + wait_ms / 1000

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        return self._left_ms <= 0

    @property
    def _left_ms(self) -> int:
        return int((self._ends_at - asyncio.get_running_loop().time()) * 1000)

    async def until_appended(
        self, streams: Sequence[Word], reached: Sequence[Word], *, most_ms: int = 1_000
    ) -> None:
        """Return when a stream has an entry after the id reached in it, or time is up."""
        block_ms = max(1, min(self._left_ms, most_ms))
        words = ("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", *streams, *reached)
        await self._server.call(*words, timeout_ms=block_ms + _GRACE_MS)
