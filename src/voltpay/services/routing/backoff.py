"""Against retry storms: full jitter, and a budget for retries."""

from voltpay.foundation.seams.clock import Chance

_TOKENS_MAX = 20.0


def full_jitter_ms(times: int, chance: Chance, *, first_ms: int, max_ms: int) -> int:
    """A delay uniform in [0, first_ms · 2^times], bounded by `max_ms`, and at least 1.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    ceiling = min(max_ms, first_ms << min(times, 20))
    return 1 + int(chance.random() * ceiling)


class RetryBudget:
    """Allows retries as a share of the charges that were made; a few may be saved up."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._tokens = 0.0

    def charged(self) -> None:
        """A charge was made: it earns its share of a retry."""
        self._tokens = min(_TOKENS_MAX, self._tokens + self._share)

    def take(self) -> bool:
        """Whether one retry may be made now; it is spent if so."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
