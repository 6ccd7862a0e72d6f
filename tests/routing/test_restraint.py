"""Restraint: less is held while accepting asks for it, and more again when it does not."""

import pytest
from tests.routing.test_lanes import ManualClock

from voltpay.foundation.runtime.courtesy import Courtesy
from voltpay.services.routing.restraint import Restraint

LEAST = 48
WANTED = 800


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def a_restraint(courtesy: Courtesy, clock: ManualClock) -> Restraint:
    """One that drains a backlog."""
    made = Restraint(courtesy, clock, LEAST)
    made.taken(clock.now_ms() - 1_000)
    return made


def after(restraint: Restraint, clock: ManualClock, ms: int) -> int:
    """What may be held when it is asked for every 10 ms until then."""
    for _ in range(ms // 10):
        clock.at_ms += 10
        restraint.taken(clock.now_ms() - 1_000)
        restraint.most(WANTED)
    return restraint.most(WANTED)


def test_while_nobody_asks_all_that_is_wanted_is_held_soon(clock: ManualClock) -> None:
    restraint = a_restraint(Courtesy(clock), clock)
    assert restraint.most(WANTED) == LEAST
    assert after(restraint, clock, 1_000) == WANTED
    assert restraint.most(3) == 3


def test_who_asks_halves_it_once_for_what_was_held_before(clock: ManualClock) -> None:
    courtesy = Courtesy(clock)
    restraint = a_restraint(courtesy, clock)
    after(restraint, clock, 1_000)
    courtesy.ask()
    assert restraint.most(WANTED) == WANTED // 2
    clock.at_ms += 10
    courtesy.ask()
    assert restraint.most(WANTED) == WANTED // 2
    clock.at_ms += 40
    courtesy.ask()
    assert restraint.most(WANTED) == WANTED // 4


def test_however_often_it_is_asked_for_some_is_held(clock: ManualClock) -> None:
    courtesy = Courtesy(clock)
    restraint = a_restraint(courtesy, clock)
    for _ in range(100):
        clock.at_ms += 100
        courtesy.ask()
        restraint.taken(clock.now_ms() - 1_000)
        restraint.most(WANTED)
    assert restraint.most(WANTED) == LEAST


def test_it_grows_again_with_care_then_fast(clock: ManualClock) -> None:
    courtesy = Courtesy(clock)
    restraint = a_restraint(courtesy, clock)
    courtesy.ask()
    assert restraint.most(WANTED) == LEAST
    assert after(restraint, clock, 1_050) == pytest.approx(LEAST + 100, abs=2)
    assert after(restraint, clock, 2_000) == WANTED


def test_what_was_asked_for_before_it_began_is_over(clock: ManualClock) -> None:
    courtesy = Courtesy(clock)
    courtesy.ask()
    assert after(a_restraint(courtesy, clock), clock, 1_000) == WANTED


def test_without_a_backlog_more_is_left(clock: ManualClock) -> None:
    courtesy = Courtesy(clock)
    restraint = a_restraint(courtesy, clock)
    courtesy.ask()
    assert restraint.most(WANTED) == LEAST
    clock.at_ms += 501
    courtesy.ask()
    assert restraint.most(WANTED) == 4 * LEAST
    restraint.taken(clock.now_ms() - 999)
    assert restraint.most(WANTED) == 4 * LEAST
    restraint.taken(clock.now_ms() - 1_000)
    assert restraint.most(WANTED) == LEAST
