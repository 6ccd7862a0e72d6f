"""Claims on a Redis or Valkey: what stands under payment ids, and what a log elsewhere needs.

A claim is when it was accepted (8 bytes, ms) and the fingerprint. One that waits for its append
to a log elsewhere is pending: the highest bit says so, and it goes by itself after a while.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.payment import Fingerprint
from voltpay.foundation.engines.log_errors import ClaimsAway, LogAway, LogFull, LogSlow
from voltpay.foundation.engines.redis import names, scripts
from voltpay.foundation.engines.redis.connect import Server, Word
from voltpay.foundation.engines.redis.durability import refuse_unsafe
from voltpay.foundation.engines.repeat_window import RepeatWindow
from voltpay.foundation.seams.intake import Claim, Claimed, StaleEpoch

_FULL_KNOWN_S: Final = 0.1
_PENDING_MS: Final = 600_000
_PENDING_BIT: Final = 1 << 63
_FAILURES_KEPT_S: Final = 604_800


class Standing(Struct, frozen=True):
    """What stands under an id; `is_pending` while nothing says that it is on the log."""

    claimed: Claimed
    is_pending: bool


class StandingClaims:
    """What stands, and the installation's epoch, on one server."""

    _away: type[Unavailable] = LogAway
    _slow: type[Unavailable] = LogSlow

    def __init__(self, url: str, *, fill_max_percent: int, timeout_ms: int) -> None:
        self._fill_max_percent = fill_max_percent
        self._server = Server(
            url,
            away=self._away,
            slow=self._slow,
            errors={"OOM": LogFull, "STALEEPOCH": _stale_epoch},
            timeout_ms=timeout_ms,
        )
        self._is_full = False
        self._known_until = float("-inf")

    async def find(self, ids: Sequence[PaymentId]) -> Sequence[Claimed | None]:
        """One MGET."""
        if not ids:
            return []
        found = await self._server.call("MGET", *map(names.claim_key_of, ids))
        return [None if one is None else unpacked(one).claimed for one in found]

    async def open_claims(self) -> AsyncIterator[Sequence[PaymentId]]:
        """Those without an expiry, by SCAN."""
        async for keys in self._server.scanned(names.CLAIM_PREFIX + b"*"):
            standing = await self._server.run(scripts.WITHOUT_EXPIRY, keys)
            yield [PaymentId(UUID(bytes=key[len(names.CLAIM_PREFIX) :])) for key in standing]

    async def epoch(self) -> int:
        """0 before the first purge. Raises StaleEpoch while one runs."""
        stored: bytes | None = await self._server.call("GET", names.EPOCH)
        if stored == names.PURGING.encode():
            raise _stale_epoch(names.PURGING)
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


class RedisClaims(StandingClaims):
    """Claims, counts of failures and wishes to read again, for a log that has none of its own.

    Raises ClaimsAway, too after `timeout_ms`, LogFull and StaleEpoch.
    """

    _away = ClaimsAway
    _slow = ClaimsAway

    def __init__(
        self,
        url: str,
        *,
        window: RepeatWindow,
        fill_max_percent: int = 60,
        timeout_ms: int = 1_000,
    ) -> None:
        super().__init__(url, fill_max_percent=fill_max_percent, timeout_ms=timeout_ms)
        self._window = window

    async def check(self) -> None:
        """Raise Misconfigured for a setting that could lose a claim."""
        await refuse_unsafe(self._server, "the server of the claims")

    async def prepare(self) -> None:
        """Raises Misconfigured where the server's settings could lose a claim."""
        await refuse_unsafe(self._server, "the server of the claims")

    async def claim(self, claims: Sequence[Claim], epoch: int) -> Sequence[Standing | None]:
        """Claim ids as pending; for each what stood there before, or None. One call."""
        words: list[Word] = [epoch, _PENDING_MS]
        words += [packed(claim, is_pending=True) for claim in claims]
        keys = [names.claim_key_of(claim.id) for claim in claims]
        reply = await self._server.run(scripts.CLAIM, keys, words)
        return [None if one is None else unpacked(one) for one in reply]

    async def confirm(self, ids: Sequence[PaymentId]) -> None:
        """They are on the log: no longer pending, and they stay until they are closed."""
        await self._server.run(scripts.CONFIRM, [names.claim_key_of(one) for one in ids])

    async def close_claims(self, payment_ids: Sequence[str]) -> None:
        """Settled: the repeat window begins. Works at the memory bound."""
        keys = [names.claim_key(one) for one in payment_ids]
        await self._server.run(scripts.CLOSE_CLAIMS, keys, [self._window.seconds_for(len(keys))])

    async def failed(self, topic: str, partition: int, group: str, position: int) -> int:
        """Count a failure of a delivery; gives how many there were."""
        keys = [names.failures_of(topic, partition, group)]
        count: int = await self._server.run(scripts.FAILED, keys, [position, _FAILURES_KEPT_S])
        return count

    async def forget_failures(
        self, topic: str, partition: int, group: str, positions: Sequence[int]
    ) -> None:
        """They are finished."""
        await self._server.call("HDEL", names.failures_of(topic, partition, group), *positions)

    async def wish_reset(self, topic: str, group: str) -> int:
        """Ask all members of a group to read again from the oldest record; gives how often."""
        return int(await self._server.call("INCR", names.resets_of(topic, group)))

    async def resets(self, topic: str, group: str) -> int:
        """How often that was asked for."""
        return int(await self._server.call("GET", names.resets_of(topic, group)) or 0)

    async def note_reset(self, topic: str, group: str, asked: int) -> None:
        """One more member does what was asked the so-manieth time."""
        await self._server.call("HINCRBY", f"{names.resets_of(topic, group)}:done", asked, 1)

    async def resets_done(self, topic: str, group: str, asked: int) -> int:
        """How many members do."""
        done = await self._server.call("HGET", f"{names.resets_of(topic, group)}:done", asked)
        return int(done or 0)

    async def begin_purge(self) -> None:
        """Nothing is accepted from now on."""
        await self._server.run(scripts.SET_EPOCH, [names.EPOCH], [names.PURGING])

    async def end_purge(self, epoch: int) -> None:
        """Drop all claims, and accept from `epoch` on."""
        async for keys in self._server.scanned(names.CLAIM_PREFIX + b"*"):
            await self._server.call("UNLINK", *keys)
        await self._server.run(scripts.SET_EPOCH, [names.EPOCH], [epoch])


def packed(claim: Claim, *, is_pending: bool = False) -> bytes:
    """A claim as it stands on the server."""
    first = claim.accepted_at_ms | (_PENDING_BIT if is_pending else 0)
    return first.to_bytes(8) + claim.fingerprint


def unpacked(stands: bytes) -> Standing:
    """What stands on the server."""
    first = int.from_bytes(stands[:8])
    claimed = Claimed(Fingerprint(stands[8:]), first & ~_PENDING_BIT)
    return Standing(claimed, bool(first & _PENDING_BIT))


def _stale_epoch(stands: str) -> StaleEpoch:
    return StaleEpoch(f"the log is at epoch {stands}")


def _fields_of(info: Any) -> dict[str, str]:
    lines = bytes(info).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
