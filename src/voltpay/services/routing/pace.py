"""How fast a processor answers, and how many calls it may hold: pure functions.

Concurrency follows additive increase and multiplicative decrease.
"""

from typing import Final

from msgspec import Struct

DECREASE: Final = 0.7
_AHEAD_LIMITS: Final = 3
_QUICK: Final = 0.2
_SLUGGISH: Final = 0.02


class Latency(Struct, frozen=True):
    """Two moving averages of the answers' latency: their difference is the trend."""

    quick_ms: float = 0.0
    sluggish_ms: float = 0.0
    at_ms: int = -1


def grown(limit: float, limit_max: int, borne: float = 0.0) -> float:
    """The limit after one good answer: a limit's worth of them adds one.

    Up to what was `borne` before the trouble each adds one, so that an outage that is over does not
    go on as a crawl.
    """
    return min(float(limit_max), limit + (1.0 if limit < borne else 1.0 / limit))


def shrunk(limit: float, limit_min: int) -> float:
    """The limit after a bad answer."""
    return max(float(limit_min), limit * DECREASE)


def ahead(limit: int, latency_ms: float, window_ms: int) -> int:
    """How many more payments than its limit a lane may hold: what it works off in `window_ms`.

    They are chosen and written while others are charged, so that many share a round trip. As long
    as nothing was measured there are none; never more than three limits' worth.
    """
    if latency_ms <= 0:
        return 0
    return min(_AHEAD_LIMITS * limit, int(limit * window_ms / max(1.0, latency_ms)))


def measured(latency: Latency, sample_ms: int, now_ms: int, fresh_ms: int) -> Latency:
    """The averages with one more sample; they begin anew after a silence."""
    if latency.at_ms < 0 or now_ms - latency.at_ms > fresh_ms:
        return Latency(float(sample_ms), float(sample_ms), now_ms)
    quick = latency.quick_ms + _QUICK * (sample_ms - latency.quick_ms)
    sluggish = latency.sluggish_ms + _SLUGGISH * (sample_ms - latency.sluggish_ms)
    return Latency(quick, sluggish, now_ms)


class Limit:
    """How many calls a lane may hold: it grows with good answers, and shrinks with bad ones."""

    def __init__(self, start: int, least: int, most: int) -> None:
        self.value = float(min(start, most))
        self._least = min(least, most)
        self._most = most
        self._borne = 0.0
        self._has_grown = True
        self._shrunk_ms = -1

    def grow(self) -> None:
        """After a good answer, while the lane is used."""
        self.value = grown(self.value, self._most, self._borne)
        self._has_grown = True

    def shrink(self, posted_ms: int, now_ms: int) -> None:
        """After a bad answer. Calls sent before the last decrease met the same trouble as it."""
        if posted_ms <= self._shrunk_ms:
            return
        self.value = shrunk(self.value, self._least)
        self._shrunk_ms = now_ms
        if self._has_grown:
            self._borne, self._has_grown = self.value, False
