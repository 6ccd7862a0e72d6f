"""Claims and appends in one Lua call: on disk when it returns, or nothing happened, or unknown."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.payment import Fingerprint
from voltpay.foundation.engines.redis import scripts
from voltpay.foundation.engines.redis.connect import Server, Word
from voltpay.foundation.engines.redis.log import LogAway
from voltpay.foundation.engines.redis.names import (
    CLAIM_PREFIX,
    EPOCH,
    PURGING,
    claim_key_of,
    stream_of,
)
from voltpay.foundation.seams.intake import Claim, Claimed, StaleEpoch

_FULL_KNOWN_S: Final = 0.1

_CLAIMS: Final = Counter("voltpay_redis_claims", "Claims made, by what they found", ["found"])
_NEW: Final = _CLAIMS.labels("nothing")
_REPEATED: Final = _CLAIMS.labels("claim")


class LogSlow(Unavailable):
    """The log did not answer in time. What was sent may be on disk: the same again tells."""

    slug = "log-slow"
    title = "The log is slow"


class LogFull(Unavailable):
    """The log is at its memory bound: nothing new is accepted, what is on it is carried on."""

    slug = "log-full"
    title = "The log is full"


class RedisIntake:
    """Fills the seam Intake, for records of shared topics. Lives on the log's own server.

    Raises LogAway, LogFull, LogSlow after `append_timeout_ms`, and StaleEpoch. `is_full` above
    `fill_max_percent` of the server's `maxmemory`.
    """

    def __init__(
        self, url: str, *, fill_max_percent: int = 60, append_timeout_ms: int = 2_000
    ) -> None:
        self._fill_max_percent = fill_max_percent
        self._server = Server(
            url,
            away=LogAway,
            slow=LogSlow,
            errors={"OOM": LogFull, "STALEEPOCH": _stale_epoch},
            timeout_ms=append_timeout_ms,
        )
        self._is_full = False
        self._known_until = float("-inf")

    async def accept(self, claims: Sequence[Claim], epoch: int) -> Sequence[Claimed | None]:
        """One call for all of them. At the memory bound it is refused whole."""
        keys = [claim_key_of(claim.id) for claim in claims]
        words: list[Word] = [epoch]
        for claim in claims:
            words += (stream_of(claim.record.topic), _packed(claim), claim.record.body)
        reply = await self._server.run(scripts.ACCEPT, keys, words)
        standing: list[Claimed | None] = [None] * len(claims)
        for number, stands in zip(reply[::2], reply[1::2], strict=True):
            standing[number - 1] = _unpacked(stands)
        _REPEATED.inc(len(reply) // 2)
        _NEW.inc(len(claims) - len(reply) // 2)
        return standing

    async def find(self, ids: Sequence[PaymentId]) -> Sequence[Claimed | None]:
        """One MGET."""
        if not ids:
            return []
        found = await self._server.call("MGET", *map(claim_key_of, ids))
        return [None if one is None else _unpacked(one) for one in found]

    async def open_claims(self) -> AsyncIterator[Sequence[PaymentId]]:
        """Those without an expiry, by SCAN."""
        async for keys in self._server.scanned(CLAIM_PREFIX + b"*"):
            standing = await self._server.run(scripts.WITHOUT_EXPIRY, keys)
            yield [PaymentId(UUID(bytes=key[len(CLAIM_PREFIX) :])) for key in standing]

    async def epoch(self) -> int:
        """0 before the first purge. Raises StaleEpoch while one runs."""
        stored: bytes | None = await self._server.call("GET", EPOCH)
        if stored == PURGING.encode():
            raise _stale_epoch(PURGING)
        return int(stored or 0)

    async def is_full(self) -> bool:
        """Asked of the server at most ten times a second. Never where it has no `maxmemory`."""
        now = asyncio.get_running_loop().time()
        if now >= self._known_until:
            info = _fields_of(await self._server.call("INFO", "memory"))
            bound = int(info["maxmemory"])
            used = int(info["used_memory"])
            self._is_full = bound > 0 and used * 100 > bound * self._fill_max_percent
            self._known_until = now + _FULL_KNOWN_S
        return self._is_full

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()


def _stale_epoch(stands: str) -> StaleEpoch:
    return StaleEpoch(f"the log is at epoch {stands}")


def _packed(claim: Claim) -> bytes:
    return claim.accepted_at_ms.to_bytes(8) + claim.fingerprint


def _unpacked(stands: bytes) -> Claimed:
    return Claimed(Fingerprint(stands[8:]), int.from_bytes(stands[:8]))


def _fields_of(info: Any) -> dict[str, str]:
    lines = bytes(info).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
