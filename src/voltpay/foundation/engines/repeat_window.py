"""How long a claim stands after its payment is settled: bounded in time and in number."""

import time
from collections.abc import Callable
from math import exp
from typing import Final

_MEAN_OVER_S: Final = 10.0
_LEAST_S: Final = 60


class RepeatWindow:
    """`window_s`, and less while payments settle so fast that more than `claims_max` would stand.

    Never below a minute, or `window_s`. The pace is that of this process, a mean over the last
    ten seconds: a claim that settled while little did stands for the whole window.
    """

    def __init__(
        self,
        window_s: int = 86_400,
        claims_max: int = 75_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window_s = window_s
        self._claims_max = claims_max
        self._clock = clock
        self._recent = 0.0
        self._at = clock()

    def seconds_for(self, settled: int) -> int:
        """The window of so many that settle now."""
        now = self._clock()
        self._recent = self._recent * exp((self._at - now) / _MEAN_OVER_S) + settled
        self._at = now
        if self._recent * self._window_s <= self._claims_max * _MEAN_OVER_S:
            return self._window_s
        bounded_s = int(self._claims_max * _MEAN_OVER_S / self._recent)
        return min(self._window_s, max(_LEAST_S, bounded_s))
