"""A sign of life on the server: a key that dies soon after its process does."""

import asyncio
from contextlib import suppress
from typing import Final

from voltpay.core.errors import Unavailable
from voltpay.foundation.engines.redis import scripts
from voltpay.foundation.engines.redis.connect import Server

_SILENT_MAX_S: Final = 60.0
_BEATS_A_LIFE: Final = 5


class Heartbeat:
    """Keeps `key` alive as long as its owner uses it at least once a minute.

    The key lives for `alive_ms` after each beat. A task of its own beats, so that an owner whose
    work is slow is not taken for dead.
    """

    def __init__(self, server: Server, key: str, *, alive_ms: int) -> None:
        self._server = server
        self._key = key
        self._alive_ms = alive_ms
        self._used_at = self._beaten_at = self._looked_at = float("-inf")
        self._steady_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def period_ms(self) -> int:
        """Time between two beats."""
        return max(1, self._alive_ms // _BEATS_A_LIFE)

    async def begin(self) -> None:
        """Be seen alive before anything is taken. Costs nothing while the task beats."""
        self.use()
        if self._beaten_at < _now() - self._alive_ms / 2000:
            await self._beat()
        if self._task is None:
            self._task = asyncio.create_task(self._beat_on())

    def use(self) -> None:
        """Note that the owner is at work."""
        self._used_at = _now()

    def lose(self) -> None:
        """Note that the server was away: for a while nobody's silence means death."""
        self._steady_since = None

    def whom_to_succeed(self) -> str:
        """Whose entries may be taken over now, once a beat: 'none', 'gone' or 'dead'.

        After the server was away all keys may have died though their owners live: they get one
        whole life to be seen again.
        """
        now = _now()
        if now < self._looked_at + self.period_ms / 1000:
            return "none"
        self._looked_at = now
        steady = self._steady_since
        return "dead" if steady is not None and now >= steady + self._alive_ms / 1000 else "gone"

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self.period_ms / 1000)
            if _now() < self._used_at + _SILENT_MAX_S:
                with suppress(Unavailable):
                    await self._beat()

    async def _beat(self) -> None:
        try:
            await self._server.run(scripts.BEAT, [self._key], [self._alive_ms])
        except BaseException:
            self.lose()
            raise
        now = _now()
        if self._steady_since is None or now > self._beaten_at + self._alive_ms / 2000:
            self._steady_since = now
        self._beaten_at = now

    async def stop(self) -> None:
        """Beat no more. The key stays until it dies."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None


def _now() -> float:
    return asyncio.get_running_loop().time()
