"""Claims and appends in one Lua call: on disk when it returns, or nothing happened, or unknown."""

from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter

from voltpay.foundation.engines.redis import scripts
from voltpay.foundation.engines.redis.claims import StandingClaims, packed, unpacked
from voltpay.foundation.engines.redis.connect import Word
from voltpay.foundation.engines.redis.names import claim_key_of, stream_of
from voltpay.foundation.seams.intake import Claim, Claimed

_CLAIMS: Final = Counter("voltpay_redis_claims", "Claims made, by what they found", ["found"])
_NEW: Final = _CLAIMS.labels("nothing")
_REPEATED: Final = _CLAIMS.labels("claim")


class RedisIntake(StandingClaims):
    """Fills the seam Intake, for records of shared topics. Lives on the log's own server.

    Raises LogAway, LogFull, LogSlow after `append_timeout_ms`, and StaleEpoch. `is_full` above
    `fill_max_percent` of the server's `maxmemory`.
    """

    def __init__(
        self, url: str, *, fill_max_percent: int = 60, append_timeout_ms: int = 2_000
    ) -> None:
        super().__init__(url, fill_max_percent=fill_max_percent, timeout_ms=append_timeout_ms)

    async def accept(self, claims: Sequence[Claim], epoch: int) -> Sequence[Claimed | None]:
        """One call for all of them. At the memory bound it is refused whole."""
        keys = [claim_key_of(claim.id) for claim in claims]
        words: list[Word] = [epoch]
        for claim in claims:
            words += (stream_of(claim.record.topic), packed(claim), claim.record.body)
        reply = await self._server.run(scripts.ACCEPT, keys, words)
        standing: list[Claimed | None] = [None] * len(claims)
        for number, stands in zip(reply[::2], reply[1::2], strict=True):
            standing[number - 1] = unpacked(stands).claimed
        _REPEATED.inc(len(reply) // 2)
        _NEW.inc(len(claims) - len(reply) // 2)
        return standing
