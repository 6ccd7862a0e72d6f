"""Windows of time: what is a time, and which milliseconds a window has."""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltpay.services.inquiry.window import (
    EARLIEST_MS,
    LATEST_MS,
    NotATime,
    ReversedWindow,
    Window,
    instant_of,
    window_of,
)


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),
    st.integers(-23 * 60, 23 * 60),
)
def test_reads_what_python_writes(moment: datetime, offset_minutes: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    micros = (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert instant_of(zoned.isoformat()) == Fraction(micros, 1000)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", Fraction(0)),
        ("1970-01-01t00:00:01.5z", Fraction(1500)),
        ("1970-01-01T02:00:00+02:00", Fraction(0)),
        ("1970-01-01T02:00:00 02:00", Fraction(0)),
        ("1969-12-31T23:00:00-01:00", Fraction(0)),
        ("1970-01-01T00:00:00.000000001Z", Fraction(1, 1_000_000)),
        ("1970-01-01T00:00:60Z", Fraction(60_000)),
    ],
)
def test_a_time_is_read_exactly(text: str, milliseconds: Fraction) -> None:
    assert instant_of(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:61Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00.Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
    ],
)
def test_what_is_no_time_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(NotATime) as refused:
        window_of(text, None)
    assert refused.value.fields == ("from",)
    with pytest.raises(NotATime) as refused:
        window_of(None, text)
    assert refused.value.fields == ("to",)


def test_an_open_window_has_all_time() -> None:
    assert window_of(None, None) == Window(EARLIEST_MS, LATEST_MS)


def test_a_far_future_is_no_mistake() -> None:
    assert window_of(None, "9999-12-31T23:59:59-23:59") == Window(EARLIEST_MS, LATEST_MS)


def test_from_rounds_up_and_to_keeps_the_millisecond_that_it_falls_in() -> None:
    window = window_of("1970-01-01T00:00:00.0011Z", "1970-01-01T00:00:00.0059Z")
    assert window == Window(2, 5)


def test_a_window_within_one_millisecond_is_empty_and_not_reversed() -> None:
    window = window_of("1970-01-01T00:00:00.0011Z", "1970-01-01T00:00:00.0019Z")
    assert window.since_ms > window.until_ms


def test_a_window_of_one_moment_is_its_millisecond() -> None:
    assert window_of("1970-01-01T00:00:00.005Z", "1970-01-01T00:00:00.005Z") == Window(5, 5)


def test_a_reversed_window_is_refused_by_both_names() -> None:
    with pytest.raises(ReversedWindow) as refused:
        window_of("2026-01-01T00:00:00.0000002Z", "2026-01-01T00:00:00.0000001Z")
    assert refused.value.fields == ("from", "to")
