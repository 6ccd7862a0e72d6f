"""The cache on a Redis or Valkey of its own: `allkeys-lru`, nothing on disk."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from prometheus_client import Counter, Gauge

from voltpay.core.errors import Unavailable, VoltpayError
from voltpay.foundation.engines.redis import scripts
from voltpay.foundation.engines.redis.connect import Server, Word
from voltpay.foundation.seams.cache import Entry

_PREFIX: Final = "cache:"
_VALUE: Final = b"v"
_TOMBSTONE: Final = b"t"
_HEAD: Final = 9

_GETS: Final = Counter("voltpay_redis_cache_gets", "Keys asked for, by result", ["result"])
_HITS: Final = _GETS.labels("hit")
_MISSES: Final = _GETS.labels("miss")
_PUTS: Final = Counter("voltpay_redis_cache_puts", "Entries put, by result", ["result"])
_STORED: Final = _PUTS.labels("stored")
_TOO_OLD: Final = _PUTS.labels("too_old")
_EVICTED: Final = Gauge("voltpay_redis_cache_evicted", "Keys evicted since the server started")
_MEMORY: Final = Gauge("voltpay_redis_cache_bytes", "Memory that the server uses, bytes")


class CacheAway(Unavailable):
    """The cache cannot be reached or does not answer in time: go on without it."""

    slug = "cache-away"
    title = "The cache is away"


class RedisCache:
    """Fills the seam Cache. Versions may be 0 to 2^64 - 1.

    A tombstone stands for `tombstone_ms`: longer than the longest fill takes. After a failure
    everything raises CacheAway at once for `pause_ms`, so that a cache that is away costs little.
    """

    def __init__(
        self,
        url: str,
        *,
        tombstone_ms: int = 30_000,
        timeout_ms: int = 500,
        pause_ms: int = 250,
    ) -> None:
        self._tombstone_ms = tombstone_ms
        self._pause_ms = pause_ms
        self._away_until = float("-inf")
        self._server = Server(url, away=CacheAway, slow=CacheAway, timeout_ms=timeout_ms)

    async def get(self, keys: Sequence[str]) -> Sequence[tuple[int, bytes] | None]:
        """One MGET."""
        if not keys:
            return []
        cells = await self._call("MGET", *(_PREFIX + key for key in keys))
        found = [_value_of(cell) for cell in cells]
        hits = len(found) - found.count(None)
        _HITS.inc(hits)
        _MISSES.inc(len(found) - hits)
        return found

    async def put_if_newer(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """One Lua call. A value that replaces a tombstone lives at least as long as that."""
        cells = [(one.key, _cell(one.version, _VALUE, one.value), one.ttl_ms) for one in entries]
        stored = await self._put(cells)
        _STORED.inc(sum(stored))
        _TOO_OLD.inc(len(stored) - sum(stored))
        return stored

    async def drop(self, keys: Sequence[tuple[str, int]]) -> None:
        """One Lua call. A value of that very version goes, too."""
        tombstone_ms = self._tombstone_ms
        await self._put([(key, _cell(at, _TOMBSTONE), tombstone_ms) for key, at in keys])

    async def clear(self) -> None:
        """By SCAN and UNLINK: what others keep on the same server stays."""
        with self._sparing():
            async for keys in self._server.scanned(_PREFIX + "*"):
                await self._server.call("UNLINK", *keys)

    async def observe(self) -> None:
        """Export the server's evictions and memory as metrics."""
        text = (await self._call("INFO", "everything")).decode()
        told = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        _EVICTED.set(int(told["evicted_keys"]))
        _MEMORY.set(int(told["used_memory"]))

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _put(self, cells: Sequence[tuple[str, bytes, int]]) -> list[bool]:
        if not cells:
            return []
        keys = [_PREFIX + key for key, _, _ in cells]
        words: list[Word] = []
        for _, cell, life_ms in cells:
            words += (cell, life_ms)
        with self._sparing():
            reply = await self._server.run(scripts.PUT_IF_NEWER, keys, words)
        return [stored == 1 for stored in reply]

    async def _call(self, *words: Word) -> Any:
        with self._sparing():
            return await self._server.call(*words)

    @contextmanager
    def _sparing(self) -> Iterator[None]:
        clock = asyncio.get_running_loop().time
        if clock() < self._away_until:
            raise CacheAway("the cache was away a moment ago")
        try:
            yield
        except VoltpayError as error:
            # One that refuses (no script allowed, keys elsewhere) is as good as away.
            self._away_until = clock() + self._pause_ms / 1000
            raise CacheAway(str(error)) from error


def _cell(version: int, mark: bytes, value: bytes = b"") -> bytes:
    return version.to_bytes(8) + mark + value


def _value_of(cell: bytes | None) -> tuple[int, bytes] | None:
    if cell is None or cell[_HEAD - 1 : _HEAD] == _TOMBSTONE:
        return None
    return int.from_bytes(cell[: _HEAD - 1]), cell[_HEAD:]
