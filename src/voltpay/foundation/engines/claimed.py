"""Claims beside any log: claim the id as pending, append, confirm. A crash between them repeats.

A repeat that finds its claim pending appends again: routing makes one payment of both. With the
claims away accepting goes on, and the attempt's row refuses what differs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from prometheus_client import Counter

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.foundation.engines.log_errors import ClaimsAway, LogSlow
from voltpay.foundation.engines.redis.claims import RedisClaims, Standing
from voltpay.foundation.seams.intake import Claim, Claimed
from voltpay.foundation.seams.log import Record

_UNCLAIMED: Final = Counter("voltpay_unclaimed_total", "Accepted while the claims were away")
_APPENDED_AGAIN: Final = Counter(
    "voltpay_appended_again_total", "Repeats that found their claim pending"
)

log = structlog.get_logger()


class ClaimedIntake:
    """Fills the seam Intake. Raises LogSlow when all of it takes `append_timeout_ms`."""

    def __init__(
        self,
        claims: RedisClaims,
        append: Callable[[Sequence[Record]], Awaitable[None]],
        *,
        append_timeout_ms: int = 2_000,
    ) -> None:
        self._claims = claims
        self._append = append
        self._timeout_ms = append_timeout_ms
        self._epoch: int | None = None

    async def accept(self, claims: Sequence[Claim], epoch: int) -> Sequence[Claimed | None]:
        """Claim, append, confirm: a round trip each, for all of them."""
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                return await self._accept(claims, epoch)
        except TimeoutError as error:
            raise LogSlow(f"no reply within {self._timeout_ms} ms") from error

    async def _accept(self, claims: Sequence[Claim], epoch: int) -> Sequence[Claimed | None]:
        standing = await self._standing(claims, epoch)
        # One record an id and content: where nothing is known of claims, an id may come twice with
        # two contents, and routing has to see both.
        missing = {
            (claim.id, claim.fingerprint): claim
            for claim, stands in zip(reversed(claims), reversed(standing), strict=True)
            if stands is None or _is_owed(claim, stands)
        }
        owed = {c.id for c, stands in zip(claims, standing, strict=True) if stands is not None}
        _APPENDED_AGAIN.inc(len({each for each, _ in missing} & owed))
        await self._append([claim.record for claim in reversed(missing.values())])
        with suppress(ClaimsAway):
            await self._claims.confirm(list(dict.fromkeys(each for each, _ in missing)))
        return [None if stands is None else stands.claimed for stands in standing]

    async def _standing(self, claims: Sequence[Claim], epoch: int) -> Sequence[Standing | None]:
        try:
            return await self._claims.claim(claims, epoch)
        except ClaimsAway as error:
            _UNCLAIMED.inc(len(claims))
            log.warning("intake.unclaimed", count=len(claims), error=str(error))
            return [None] * len(claims)

    async def find(self, ids: Sequence[PaymentId]) -> Sequence[Claimed | None]:
        """What stands under each id."""
        return await self._claims.find(ids)

    def open_claims(self) -> AsyncIterator[Sequence[PaymentId]]:
        """Confirmed and not settled since."""
        return self._claims.open_claims()

    async def epoch(self) -> int:
        """As the claims have it; as they had it last, while they are away."""
        try:
            self._epoch = await self._claims.epoch()
        except ClaimsAway:
            if self._epoch is None:
                raise
        return self._epoch

    async def is_full(self) -> bool:
        """Whether the claims' memory has passed its share; not while they are away."""
        try:
            return await self._claims.is_full()
        except Unavailable:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._claims.close()


def _is_owed(claim: Claim, stands: Standing) -> bool:
    """Whether nothing says that the very same payment is on the log."""
    return stands.is_pending and stands.claimed.fingerprint == claim.fingerprint
