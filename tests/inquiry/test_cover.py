"""The cover of a window: every millisecond once, in few ranges."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from voltpay.services.inquiry.cover import TIER_WIDTHS_MS, Span, cover
from voltpay.services.inquiry.window import EARLIEST_MS, LATEST_MS, Window

DAY_MS = 86_400_000
NEAR_BOUNDARIES = st.builds(
    lambda day, hour, minute, second, ms: (
        day * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1_000 + ms
    ),
    st.integers(-2, 3),
    st.sampled_from([0, 1, 22, 23]),
    st.sampled_from([0, 1, 58, 59]),
    st.sampled_from([0, 1, 58, 59]),
    st.sampled_from([0, 1, 500, 998, 999]),
)


@given(NEAR_BOUNDARIES, NEAR_BOUNDARIES)
@example(0, DAY_MS - 1)
@example(1, DAY_MS)
@example(0, 0)
def test_the_spans_join_to_the_very_window(one: int, other: int) -> None:
    first, last = sorted((one, other))
    spans = cover(Window(first, last))
    assert spans[0].since_ms == first
    assert spans[-1].until_ms == last + 1
    for before, after in pairwise(spans):
        assert before.until_ms == after.since_ms
    assert len(spans) <= 9


@given(NEAR_BOUNDARIES, NEAR_BOUNDARIES)
def test_buckets_lie_wholly_within_their_span(one: int, other: int) -> None:
    for span in cover(Window(*sorted((one, other)))):
        width_ms = TIER_WIDTHS_MS.get(span.tier, 1)
        assert span.since_ms % width_ms == 0
        assert span.until_ms % width_ms == 0
        assert span.since_ms < span.until_ms


@given(
    st.lists(st.integers(-2 * DAY_MS, 3 * DAY_MS), max_size=30),
    st.integers(-2 * DAY_MS, 3 * DAY_MS),
    st.integers(-2 * DAY_MS, 3 * DAY_MS),
)
def test_counting_buckets_and_edges_equals_counting_payments(
    moments: list[int], one: int, other: int
) -> None:
    first, last = sorted((one, other))
    counted = sum(
        span.since_ms <= moment - moment % TIER_WIDTHS_MS.get(span.tier, 1) < span.until_ms
        for span in cover(Window(first, last))
        for moment in moments
    )
    assert counted == sum(first <= moment <= last for moment in moments)


@given(NEAR_BOUNDARIES, NEAR_BOUNDARIES)
def test_single_payments_are_read_for_less_than_two_seconds_in_all(one: int, other: int) -> None:
    spans = cover(Window(*sorted((one, other))))
    assert sum(span.until_ms - span.since_ms for span in spans if span.tier == 0) < 2_000


def test_all_time_is_days_alone() -> None:
    assert cover(Window(EARLIEST_MS, LATEST_MS)) == [Span(4, EARLIEST_MS, LATEST_MS + 1)]


def test_an_empty_window_has_no_spans() -> None:
    assert cover(Window(5, 4)) == []
