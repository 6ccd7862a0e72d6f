"""The challenge's protocol, byte for byte, and what answers prove."""

import json
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltpay.core.money import CURRENCIES, amount_text
from voltpay.core.times import time_text
from voltpay.processors.answers import (
    Page,
    finding_of,
    health_of,
    outcome_of,
    page_of,
    retry_after_ms_of,
)
from voltpay.processors.protocol import (
    payment_json,
    strict_json,
    time_ms,
)
from voltpay.processors.seam import (
    Absent,
    Booked,
    Charge,
    Declined,
    Duplicate,
    Executed,
    Found,
    Health,
    NoHealth,
    NotDone,
    Unanswered,
    Unknown,
)

EUR = CURRENCIES["EUR"]
ID = UUID("4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3")
TIME_MS = 1_752_582_896_007
CHARGE = Charge(ID, 1990, "EUR", TIME_MS)
DONE = Executed(1990, TIME_MS)


def answered(status: int, body: bytes, retry_after: str | None = None) -> object:
    return outcome_of(status, body, retry_after, CHARGE, EUR)


def test_a_charge_is_written_with_the_currencys_decimals_and_milliseconds() -> None:
    assert payment_json(ID, 1990, 2, TIME_MS) == (
        b'{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90,'
        b'"requestedAt":"2025-07-15T12:34:56.007Z"}'
    )


@pytest.mark.parametrize(
    ("minor", "decimals", "text"),
    [(1, 2, "0.01"), (100, 2, "1.00"), (5, 0, "5"), (12345, 3, "12.345"), (7, 4, "0.0007")],
)
def test_amounts_are_written_exactly(minor: int, decimals: int, text: str) -> None:
    assert amount_text(minor, decimals) == text


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_that_was_written_is_read_as_the_same_millisecond(ms: int) -> None:
    assert time_ms(time_text(ms)) == ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2025-07-15T12:34:56.007Z", TIME_MS),
        ("2025-07-15T14:34:56.007+02:00", TIME_MS),
        ("2025-07-15T12:34:56.0079Z", TIME_MS),
        ("2025-07-15T12:34:56.007", None),
        ("yesterday", None),
        (TIME_MS, None),
        (None, None),
    ],
)
def test_times_are_read_with_their_offset_and_cut_to_milliseconds(text, ms) -> None:
    assert time_ms(text) == ms


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'"ok"',
        b"[1]",
        b'{"message":"payment processed successfully"}',
        b'{"amount":19.9}',
        b'{"amount":19.90,"correlationId":"4A7901B8-7D26-4D9D-AA19-4DC1C7CF60B3"}',
        b'{"amount":1990e-2,"requestedAt":"2025-07-15T12:34:56.007Z"}',
    ],
)
def test_a_200_that_does_not_contradict_the_charge_is_executed(body: bytes) -> None:
    assert answered(200, body) == DONE


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{",
        b" ",
        b'{"a":1,"a":1}',
        b'{"amount":NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"amount":1e99999999999999999999}',
    ],
)
def test_a_200_that_is_no_json_is_unknown(body: bytes) -> None:
    assert answered(200, body) == Unknown("unreadable answer")


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount":19.91}',
        b'{"amount":19.900000000000000000000000001}',
        b'{"amount":"19.90"}',
        b'{"amount":null}',
        b'{"amount":true}',
        b'{"amount":-19.90}',
        b'{"amount":1e999999}',
        b'{"correlationId":"00000000-0000-4000-8000-000000000000"}',
        b'{"correlationId":7}',
        b'{"requestedAt":"2025-07-15T12:34:56.008Z"}',
    ],
)
def test_a_200_that_speaks_of_another_payment_is_unknown(body: bytes) -> None:
    assert answered(200, body) == Unknown("the answer speaks of another payment")


def test_only_the_contracts_decline_is_a_decline() -> None:
    assert answered(402, b'{"declined":"insufficient_funds"}') == Declined("insufficient_funds")
    for body in (b"", b"{}", b'{"declined":""}', b'{"declined":7}', b"no", b'{"declined":"\\n"}'):
        assert isinstance(answered(402, body), Unknown)
    for status in (400, 401, 403, 404, 409, 410, 451):
        assert answered(status, b'{"declined":"no"}') == Unknown(f"status {status}")


def test_a_reason_is_cut_to_one_printable_line_that_a_database_takes() -> None:
    declined = answered(402, b'{"declined":"card\\u0000 \\ud800\\nexpired' + b"x" * 300 + b'"}')

    assert isinstance(declined, Declined)
    assert declined.reason.startswith("card expired")
    assert len(declined.reason) <= 200
    assert declined.reason.encode()


def test_only_a_500_without_a_body_is_a_no_that_counts_for_the_breaker() -> None:
    assert answered(500, b"") == NotDone("500", counts_for_breaker=True)
    assert answered(500, b" ") == Unknown("status 500")
    for status in (501, 502, 503, 504, 599):
        assert answered(status, b"") == Unknown(f"status {status}")


def test_a_429_is_a_no_that_does_not_count_and_says_how_long_to_wait() -> None:
    assert answered(429, b"", "7") == NotDone("429", counts_for_breaker=False, retry_after_ms=7000)
    assert answered(429, b"later") == NotDone("429", counts_for_breaker=False)


def test_a_422_is_a_claim_whatever_it_says() -> None:
    assert answered(422, b"") == Duplicate()
    assert answered(422, b"<html>") == Duplicate()


@pytest.mark.parametrize("status", [100, 201, 202, 204, 206, 301, 307, 308, 418])
def test_a_status_that_the_contract_does_not_know_is_unknown(status: int) -> None:
    assert answered(status, b"{}") == Unknown(f"status {status}")


@pytest.mark.parametrize(
    ("value", "ms"),
    [("5", 5000), ("99999", 60_000), ("-5", 0), ("²", 0), ("soon", 0), (None, 0), ("9" * 99, 0)],
)
def test_retry_after_is_seconds_within_a_minute(value: str | None, ms: int) -> None:
    assert retry_after_ms_of(value) == ms


def test_a_found_payment_carries_the_processors_amount_and_time() -> None:
    body = payment_json(ID, 1991, 2, TIME_MS + 1)
    assert finding_of(200, body, ID, EUR) == Found(1991, TIME_MS + 1)
    assert finding_of(200, body.replace(b"19.91", b"19.9"), ID, EUR) == Found(1990, TIME_MS + 1)


def test_only_a_404_says_that_a_payment_is_absent() -> None:
    assert finding_of(404, b"", ID, EUR) == Absent()
    for status in (204, 400, 401, 410, 429, 500, 503):
        assert finding_of(status, b"", ID, EUR) == Unanswered(f"status {status}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        payment_json(UUID(int=7), 1990, 2, TIME_MS),
        payment_json(ID, 1990, 2, TIME_MS).replace(b"19.90", b"19.901"),
        payment_json(ID, 1990, 2, TIME_MS).replace(b"19.90", b'"19.90"'),
        payment_json(ID, 1990, 2, TIME_MS).replace(b"19.90", b"0"),
        payment_json(ID, 1990, 2, TIME_MS).replace(b"Z", b""),
        payment_json(ID, 1990, 2, TIME_MS).replace(b"requestedAt", b"at"),
        payment_json(ID, 1990, 2, TIME_MS).replace(b"requestedAt", b"amount"),
    ],
)
def test_a_payment_that_is_not_exactly_readable_teaches_nothing(body: bytes) -> None:
    assert finding_of(200, body, ID, EUR) == Unanswered("unreadable answer")


def test_health_is_what_the_contract_says_and_nothing_else() -> None:
    assert health_of(200, b'{"failing":true,"minResponseTime":120}', None) == Health(True, 120)
    assert health_of(429, b"", "3") == NoHealth("status 429", 3000)
    assert health_of(429, b"", None) == NoHealth("status 429", 1)
    assert health_of(500, b"", None) == NoHealth("status 500")
    for body in (
        b"",
        b"[]",
        b'{"failing":1,"minResponseTime":1}',
        b'{"failing":true}',
        b'{"failing":true,"minResponseTime":-1}',
        b'{"failing":true,"minResponseTime":1e30}',
        b'{"failing":true,"minResponseTime":true}',
    ):
        assert health_of(200, body, None) == NoHealth("unreadable answer")


def test_a_page_is_read_whole_or_not_at_all() -> None:
    row = payment_json(ID, 1990, 2, TIME_MS)
    assert page_of(b'{"items":[%s],"next":null}' % row, EUR) == Page(
        [Booked(ID, 1990, TIME_MS)], None
    )
    assert page_of(b'{"items":[],"next":5}', EUR) == Page([], 5)
    for body in (
        b"{}",
        b'{"items":[%s]}' % row,
        b'{"items":[%s,{}],"next":null}' % row,
        b'{"items":[],"next":0}',
        b'{"items":[],"next":"5"}',
    ):
        assert page_of(body, EUR) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["amount", "correlationId", "requestedAt", "declined", "failing", "items", "next"]
            )
            | st.text(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@given(st.integers(100, 599), st.binary(max_size=40) | JSON.map(json.dumps).map(str.encode))
def test_no_answer_makes_the_readers_raise(status: int, body: bytes) -> None:
    answered(status, body)
    finding_of(status, body, ID, EUR)
    health_of(status, body, None)
    page_of(body, EUR)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2025-07-15T12:34:60Z"]
)
def test_times_at_the_edge_of_the_calendar_do_not_raise(text: str) -> None:
    assert isinstance(time_ms(text), int | None)


def test_json_numbers_become_decimals_never_floats() -> None:
    assert strict_json(b"[0.1, 1, 1e2]") == [Decimal("0.1"), Decimal(1), Decimal("1e2")]
    assert all(isinstance(each, Decimal) for each in strict_json(b"[0.1, 1]"))
