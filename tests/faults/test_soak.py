"""Soaks: faults drawn from a seed, again and again the same, and after each everything adds up."""

import pytest
from tests.faults.soak import DONE_PER_MINUTE_MIN, soak
from tests.faults.strikes import DETAILS, WEIGHTS, drawn

SEEDS = range(1, 11)


def test_a_seed_draws_the_same_faults_again_and_another_draws_others():
    assert drawn(3, 2) == drawn(3, 2)
    assert drawn(3, 2) != drawn(4, 2)
    assert drawn(3, 2) != drawn(3, 1)


@pytest.mark.parametrize("minutes", [0.5, 1, 10])
def test_enough_faults_are_drawn_for_every_minute(minutes):
    strikes = drawn(1, minutes)
    assert len(strikes) >= DONE_PER_MINUTE_MIN * minutes
    assert all(0 <= strike.at_s <= 60 * minutes for strike in strikes)
    assert strikes == sorted(strikes, key=lambda strike: strike.at_s)


def test_ten_seeds_draw_every_kind_of_fault():
    kinds = {strike.kind for seed in SEEDS for strike in drawn(seed, 1)}
    assert kinds == WEIGHTS.keys() >= DETAILS.keys()


def test_a_short_soak(folder):
    place = folder / "short"
    place.mkdir()
    soak(place, 0, 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_minute_of_faults(folder, seed):
    place = folder / str(seed)
    place.mkdir()
    soak(place, seed, 1)
