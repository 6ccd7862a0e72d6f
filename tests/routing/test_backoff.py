"""Full jitter and the retry budget."""

import random

from hypothesis import given
from hypothesis import strategies as st

from voltpay.services.routing.backoff import RetryBudget, full_jitter_ms


class Certain:
    """Chance that always falls the same way."""

    def __init__(self, value: float) -> None:
        self._value = value

    def random(self) -> float:
        return self._value


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_at_least_one_and_bounded(times: int, value: float) -> None:
    assert 1 <= full_jitter_ms(times, Certain(value), first_ms=250, max_ms=5_000) <= 5_000


def test_the_ceiling_doubles_until_its_bound() -> None:
    top = Certain(0.999_999)
    delays = [full_jitter_ms(times, top, first_ms=100, max_ms=500) for times in range(5)]
    assert delays == [100, 200, 400, 500, 500]


def test_retries_are_a_share_of_the_charges() -> None:
    budget, chance = RetryBudget(0.1), random.Random(3)
    retries = 0
    for _ in range(10_000):
        budget.charged()
        retries += chance.random() < 0.5 and budget.take()
    assert 950 <= retries <= 1_000


def test_nothing_charged_is_nothing_to_retry() -> None:
    assert not RetryBudget(0.1).take()
