"""The circuit breaker as a pure state machine."""

from hypothesis import given
from hypothesis import strategies as st

from voltpay.services.routing.breaker import (
    Breaker,
    State,
    abandoned,
    failed,
    half_opened,
    is_due,
    succeeded,
)
from voltpay.services.routing.settings import BreakerSettings

RULES = BreakerSettings(
    failures_in_row=3,
    failures_share=0.5,
    calls_min=10,
    window_ms=1_000,
    pause_ms=100,
    pause_max_ms=400,
)


def after(breaker: Breaker, results: str, now_ms: int = 0) -> Breaker:
    """The breaker after answers: `+` good, `-` failed."""
    for result in results:
        event = succeeded if result == "+" else failed
        breaker = event(breaker, RULES, now_ms, probing=False)
    return breaker


def an_open_one(now_ms: int = 0) -> Breaker:
    return after(Breaker(window_from_ms=now_ms), "---", now_ms)


def test_failures_in_a_row_open_it() -> None:
    assert after(Breaker(), "--").state is State.CLOSED
    assert after(Breaker(), "---").state is State.OPEN


def test_a_good_answer_in_between_starts_the_row_anew() -> None:
    assert after(Breaker(), "--+--").state is State.CLOSED


def test_a_share_of_failures_opens_it_once_there_were_enough_calls() -> None:
    assert after(Breaker(), "+-+-+-+-+").state is State.CLOSED
    assert after(Breaker(), "+-+-+-+-+-").state is State.OPEN


def test_failures_of_windows_that_are_over_do_not_count() -> None:
    old = after(Breaker(), "+-+-+-+-+")
    assert after(old, "-", 5_000).state is State.CLOSED
    assert after(old, "-", 1_500).state is State.OPEN


def test_it_is_due_when_its_pause_is_over() -> None:
    opened = an_open_one(50)
    assert not is_due(opened, 149)
    assert is_due(opened, 150)
    assert not is_due(Breaker(), 10_000)


def test_while_one_call_tries_it_no_other_may() -> None:
    trying = half_opened(an_open_one(), 100, give_up_ms=1_000)
    assert trying.state is State.HALF_OPEN
    assert not is_due(trying, 1_099)
    assert is_due(trying, 1_100)


def test_the_trying_call_closes_it_or_opens_it_for_twice_as_long() -> None:
    trying = half_opened(an_open_one(), 100, give_up_ms=1_000)
    assert succeeded(trying, RULES, 120, probing=True).state is State.CLOSED
    again = failed(trying, RULES, 120, probing=True)
    assert again.state is State.OPEN
    assert (is_due(again, 319), is_due(again, 320)) == (False, True)


def test_answers_of_calls_sent_before_it_opened_change_nothing() -> None:
    for breaker in (an_open_one(), half_opened(an_open_one(), 100, 1_000)):
        assert after(breaker, "+-+---", 200) == breaker


def test_a_trying_call_that_told_nothing_lets_another_try() -> None:
    trying = half_opened(an_open_one(), 100, give_up_ms=1_000)
    assert is_due(abandoned(trying, 105, probing=True), 105)
    assert abandoned(trying, 105, probing=False) == trying


def test_pauses_grow_to_their_bound_and_shrink_after_a_calm_time() -> None:
    breaker, now_ms, pauses = an_open_one(), 0, []
    for _ in range(5):
        pauses.append(breaker.until_ms - now_ms)
        now_ms = breaker.until_ms
        breaker = failed(half_opened(breaker, now_ms, 50), RULES, now_ms, probing=True)
    assert pauses == [100, 200, 400, 400, 400]
    closed = succeeded(half_opened(breaker, now_ms, 50), RULES, now_ms, probing=True)
    relapsed = after(closed, "---", now_ms)
    assert relapsed.until_ms - now_ms == 400
    calm = after(closed, "+" * 12, now_ms)
    assert after(calm, "---", now_ms).until_ms - now_ms == 100


EVENTS = st.lists(
    st.tuples(st.sampled_from("+-?"), st.booleans(), st.integers(0, 700)), max_size=200
)


@given(EVENTS)
def test_it_never_pauses_longer_than_its_bound_and_never_sticks(
    events: list[tuple[str, bool, int]],
) -> None:
    breaker, now_ms = Breaker(), 0
    for kind, probing, passed_ms in events:
        now_ms += passed_ms
        if is_due(breaker, now_ms):
            breaker = half_opened(breaker, now_ms, 300)
        if kind == "?":
            breaker = abandoned(breaker, now_ms, probing=probing)
        else:
            event = succeeded if kind == "+" else failed
            breaker = event(breaker, RULES, now_ms, probing=probing)
        assert breaker.state is State.CLOSED or is_due(breaker, now_ms + 400)
