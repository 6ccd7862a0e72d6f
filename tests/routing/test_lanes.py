"""Lanes: adaptive concurrency, latency, what they offer, and how much room there is."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.simulated import SimulatedProcessor, SteeredClock, processor_settings

from voltpay.services.routing.breaker import State
from voltpay.services.routing.choose import Gate, expected_ms
from voltpay.services.routing.lane import Call, HealthSeen, Lane, Signal
from voltpay.services.routing.lanes import Lanes
from voltpay.services.routing.pace import Latency, grown, measured, shrunk
from voltpay.services.routing.settings import BreakerSettings, RoutingSettings


class ManualClock(SteeredClock):
    """Stands until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.at_ms = 1_000_000

    def monotonic_ms(self) -> int:
        return self.at_ms

    def now_ms(self) -> int:
        return NOON_MS + self.at_ms


NOON_MS = 1_763_640_000_000
RULES = RoutingSettings(breaker=BreakerSettings(failures_in_row=3, pause_ms=100))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def a_lane(clock: ManualClock, name: str = "default", **settings: object) -> Lane:
    currency = str(settings.get("currency", "EUR"))
    processor = SimulatedProcessor(name, currency)
    return Lane(processor_settings(name, **settings), processor, RULES, clock, 90)


def sent(lane: Lane, count: int = 1) -> list[Call]:
    calls = [lane.enter(give_up_ms=1_000) for _ in range(count)]
    for call in calls:
        lane.posting(call)
    return calls


def answered(
    lane: Lane, calls: Sequence[Call], clock: ManualClock, signal: Signal, took_ms: int = 5
) -> None:
    clock.at_ms += took_ms
    for call in calls:
        lane.answered(call, signal)
        lane.leave(call)


def open_up(lane: Lane, clock: ManualClock) -> None:
    answered(lane, sent(lane, 3), clock, Signal.FAILED)


@given(st.lists(st.booleans(), max_size=400), st.integers(4, 100))
def test_the_limit_stays_within_its_bounds(answers: list[bool], limit_max: int) -> None:
    limit = 4.0
    for good in answers:
        limit = grown(limit, limit_max) if good else shrunk(limit, 4)
        assert 4 <= limit <= limit_max


def test_a_limit_of_good_answers_adds_about_one() -> None:
    limit = 20.0
    for _ in range(20):
        limit = grown(limit, 100)
    assert 20.9 < limit < 21.0


def test_a_used_lane_grows_and_an_idle_one_does_not(clock: ManualClock) -> None:
    used, idle = a_lane(clock), a_lane(clock, "fallback")
    for _ in range(20):
        answered(used, sent(used, 16), clock, Signal.GOOD)
        answered(idle, sent(idle, 2), clock, Signal.GOOD)
    assert used.limit > 20
    assert idle.limit == 16


def test_after_an_outage_a_lane_is_soon_where_it_was_before_it(clock: ManualClock) -> None:
    lane = a_lane(clock)
    for _ in range(40):
        answered(lane, sent(lane, 16), clock, Signal.GOOD)
    before = lane.limit
    for _ in range(12):
        clock.at_ms += 1
        answered(lane, sent(lane, 1), clock, Signal.BUSY)
    assert lane.limit == RULES.lane.limit_min
    rounds = 0
    while lane.limit < int(0.7 * before):
        rounds += 1
        answered(lane, sent(lane, lane.limit), clock, Signal.GOOD)
    assert rounds <= 4
    after = lane.limit
    answered(lane, sent(lane, after), clock, Signal.GOOD)
    assert lane.limit <= after + 1


@pytest.mark.parametrize("signal", [Signal.FAILED, Signal.BUSY])
def test_trouble_shrinks_the_limit_once_for_calls_of_the_same_time(
    clock: ManualClock, signal: Signal
) -> None:
    lane = a_lane(clock)
    answered(lane, sent(lane, 10), clock, signal)
    assert lane.limit == 11
    clock.at_ms += 1
    answered(lane, sent(lane, 1), clock, signal)
    assert lane.limit == 7


def test_a_slow_good_answer_shrinks_the_limit(clock: ManualClock) -> None:
    lane = a_lane(clock)
    answered(lane, sent(lane), clock, Signal.GOOD, took_ms=RULES.lane.slow_ms + 1)
    assert lane.limit == 11


def test_a_slowdown_shows_before_any_answer(clock: ManualClock) -> None:
    lane = a_lane(clock)
    answered(lane, sent(lane, 5), clock, Signal.GOOD)
    sent(lane, 5)
    clock.at_ms += 700
    assert lane.offer().oldest_ms == 700
    assert expected_ms(lane.offer()) == 700


def test_one_hanging_call_is_no_slowdown_while_later_ones_are_answered(
    clock: ManualClock,
) -> None:
    lane = a_lane(clock)
    [hanging] = sent(lane)
    clock.at_ms += 10
    answered(lane, sent(lane), clock, Signal.GOOD)
    clock.at_ms += 1_500
    assert lane.offer().oldest_ms == 0
    answered(lane, [hanging], clock, Signal.FAILED)
    assert lane.in_flight == 0


def test_the_trend_runs_ahead_of_the_average() -> None:
    latency = Latency()
    for i in range(30):
        latency = measured(latency, 10, i, 5_000)
    for i in range(5):
        latency = measured(latency, 500, 30 + i, 5_000)
    assert latency.quick_ms - latency.sluggish_ms > 200
    assert measured(latency, 10, 40_000, 5_000) == Latency(10.0, 10.0, 40_000)


def test_an_old_latency_is_not_believed(clock: ManualClock) -> None:
    lane = a_lane(clock)
    answered(lane, sent(lane), clock, Signal.GOOD, took_ms=3_000)
    assert expected_ms(lane.offer()) == 3_000
    clock.at_ms += RULES.lane.latency_fresh_ms + 1
    assert expected_ms(lane.offer()) == 0


def test_old_health_is_not_believed(clock: ManualClock) -> None:
    lane = a_lane(clock)
    lane.heard(HealthSeen(True, 700, clock.at_ms - 1_000))
    assert (lane.offer().failing, lane.offer().health_age_ms) == (True, 1_000)
    clock.at_ms += RULES.lane.health_fresh_ms
    assert (lane.offer().failing, lane.offer().min_response_ms) == (False, 0)


def test_a_charge_waits_twice_the_latency_within_bounds(clock: ManualClock) -> None:
    lane = a_lane(clock, charge_timeout_ms=5_000)
    assert lane.charge_timeout_ms(lane.offer()) == 2_000
    lane.heard(HealthSeen(False, 1_700, clock.at_ms))
    assert lane.charge_timeout_ms(lane.offer()) == 3_400
    lane.heard(HealthSeen(False, 4_000, clock.at_ms))
    assert lane.charge_timeout_ms(lane.offer()) == 5_000


def test_a_due_breaker_takes_one_payment_and_wakes_all_when_it_closes(
    clock: ManualClock,
) -> None:
    lane, woken = a_lane(clock), []
    lane.on_change = lambda: woken.append(True)
    open_up(lane, clock)
    assert lane.offer().gate is Gate.OPEN
    clock.at_ms += 100
    assert lane.offer().gate is Gate.DUE
    [trying] = sent(lane)
    assert (trying.probing, lane.offer().gate) == (True, Gate.OPEN)
    assert not woken
    answered(lane, [trying], clock, Signal.GOOD)
    assert (lane.breaker.state, woken) == (State.CLOSED, [True])


def test_a_trying_payment_that_sent_nothing_leaves_the_breaker_due(clock: ManualClock) -> None:
    lane = a_lane(clock)
    open_up(lane, clock)
    clock.at_ms += 100
    call = lane.enter(give_up_ms=1_000)
    lane.leave(call)
    assert lane.offer().gate is Gate.DUE


def lanes_of(clock: ManualClock, *lanes: Lane) -> Lanes:
    return Lanes(lanes, clock, RULES.lane.slow_ms)


def test_room_is_the_soft_limit_of_the_cheaper_lane(clock: ManualClock) -> None:
    default, fallback = a_lane(clock), a_lane(clock, "fallback")
    lanes = lanes_of(clock, fallback, default)
    assert lanes.room() == 16
    sent(default, 20)
    assert lanes.room() == 16


def test_what_a_slow_lane_holds_does_not_take_the_others_room(clock: ManualClock) -> None:
    default, fallback = a_lane(clock), a_lane(clock, "fallback")
    lanes = lanes_of(clock, default, fallback)
    sent(fallback, 10)
    assert lanes.room() == 26


def test_with_all_breakers_open_there_is_room_for_those_that_are_due(
    clock: ManualClock,
) -> None:
    default, fallback = a_lane(clock), a_lane(clock, "fallback")
    lanes = lanes_of(clock, default, fallback)
    open_up(default, clock)
    assert lanes.room() == 16
    clock.at_ms += 50
    open_up(fallback, clock)
    assert lanes.room() == 0
    clock.at_ms += 60
    assert lanes.room() == 1
    sent(default)
    assert lanes.room() == 1
    assert default.in_flight == 1


def test_a_processor_that_says_it_fails_gets_no_room_though_it_is_due(
    clock: ManualClock,
) -> None:
    lane = a_lane(clock)
    open_up(lane, clock)
    lane.heard(HealthSeen(True, 0, clock.at_ms))
    clock.at_ms += 200
    assert lanes_of(clock, lane).room() == 0


def test_each_currency_has_the_room_of_its_own_lane(clock: ManualClock) -> None:
    lanes = lanes_of(clock, a_lane(clock), a_lane(clock, "fallback", currency="BRL"))
    assert lanes.room() == 32
    assert lanes.currencies == {"EUR", "BRL"}


def test_all_lanes_leave_sockets_for_questions_and_health(clock: ManualClock) -> None:
    lane = a_lane(clock)
    assert lane.limit_max + lane.resolve_max + 1 <= 90
