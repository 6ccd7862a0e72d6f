"""Entries: which postings a settled payment makes, and how postings are numbered."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.ledger.books import NOON_MS, settled

from voltpay.core.money import AMOUNT_MAX
from voltpay.services.ledger.entries import (
    Entry,
    UnbalancedEntry,
    UnpostableFact,
    day_of,
    entry_of,
    movements_of,
    ms_of,
    numbered,
    refuse_unbalanced,
    time_of,
)

KEYS = st.tuples(st.integers(1, 4), st.sampled_from([978, 840]), st.integers(0, 1))
POSTINGS = st.lists(st.tuples(KEYS, st.integers(-50, 50)), max_size=30)


def test_an_executed_payment_moves_its_amount_from_the_customer_to_clearing_and_its_fee() -> None:
    entry = entry_of(settled("alice", 1990, fee_minor=100), partition=7)
    assert entry.legs == (
        ("customer:alice", 0, -1990),
        ("clearing:default", 7, 1990),
        ("merchant:shop", 7, -100),
        ("fees:default", 7, 100),
    )


def test_without_a_fee_there_are_two_postings() -> None:
    entry = entry_of(settled("alice", 1990, fee_minor=0), partition=7)
    assert [leg[0] for leg in entry.legs] == ["customer:alice", "clearing:default"]


def test_a_declined_payment_makes_no_posting() -> None:
    assert entry_of(settled(executed=False), partition=7).legs == ()


def test_without_an_account_the_merchants_anonymous_account_has_a_slot_a_partition() -> None:
    entry = entry_of(settled("", 5), partition=7)
    assert entry.legs[0] == ("customer:anonymous:shop", 7, -5)


def test_an_account_named_like_an_anonymous_one_shares_no_row_between_partitions() -> None:
    legs = [entry_of(settled("anonymous:shop"), partition).legs[0] for partition in (0, 7)]
    assert [leg[1] for leg in legs] == [0, 7]


def test_the_day_is_the_utc_day_of_the_request() -> None:
    midnight_ms = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) * 1000
    days = [
        entry_of(settled(requested_at_ms=at), 0).key[1] for at in (midnight_ms - 1, midnight_ms)
    ]
    assert days == [date(2026, 11, 20), date(2026, 11, 21)]


@pytest.mark.parametrize(
    "fact",
    [
        settled(currency="XXX"),
        settled(amount_minor=0),
        settled(amount_minor=-1),
        settled(amount_minor=AMOUNT_MAX + 1),
        settled(fee_minor=-1),
        settled(fee_minor=2**63),
        settled(requested_at_ms=-1),
        settled(requested_at_ms=2**60),
    ],
)
def test_what_no_book_can_hold_is_refused(fact) -> None:
    with pytest.raises(UnpostableFact):
        entry_of(fact, 0)


def test_the_largest_amount_and_the_last_time_are_taken() -> None:
    last_ms = 253_402_300_799_999
    entry = entry_of(settled(amount_minor=AMOUNT_MAX, requested_at_ms=last_ms), 0)
    assert entry.key[1] == date(9999, 12, 31)


def test_an_entry_that_does_not_sum_to_zero_is_refused_and_one_that_does_is_not() -> None:
    entry = entry_of(settled(), 0)
    refuse_unbalanced([entry])
    short: Entry = replace(entry, legs=entry.legs[:3])
    with pytest.raises(UnbalancedEntry, match="left over"):
        refuse_unbalanced([entry, short])


@given(st.integers(1, AMOUNT_MAX), st.integers(0, AMOUNT_MAX), st.booleans())
def test_every_entry_sums_to_zero(amount: int, fee: int, executed: bool) -> None:
    entry = entry_of(settled("a", amount, fee_minor=fee, executed=executed), 1)
    refuse_unbalanced([entry])
    assert all(leg[2] for leg in entry.legs)


@given(st.lists(POSTINGS, max_size=6))
def test_over_batches_each_balance_numbers_its_postings_from_one_without_gaps(batches) -> None:
    books: dict[tuple[int, int, int], tuple[int, int]] = {}
    seen: dict[tuple[int, int, int], list[int]] = {}
    for batch in batches:
        keys = [key for key, _ in batch]
        movements = movements_of(keys, [amount for _, amount in batch])
        for key, amount, postings in zip(*movements, strict=True):
            was = books.get(key, (0, 0))
            books[key] = was[0] + amount, was[1] + postings
        after = {key: sequence for key, (_, sequence) in books.items()}
        for key, number in zip(keys, numbered(keys, movements, after), strict=True):
            seen.setdefault(key, []).append(number)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen.values())
    for key, (amount, _) in books.items():
        assert amount == sum(a for batch in batches for k, a in batch if k == key)


@given(POSTINGS)
def test_a_batch_moves_each_balance_once_and_in_the_order_of_keys(postings) -> None:
    movements = movements_of([key for key, _ in postings], [amount for _, amount in postings])
    assert movements.keys == sorted({key for key, _ in postings})


@given(st.integers(0, 253_402_300_799_999))
def test_times_come_back_from_tables_as_they_went_in(at_ms: int) -> None:
    assert ms_of(time_of(at_ms)) == at_ms
    assert day_of(at_ms) == time_of(at_ms).date()


def test_noon_is_noon() -> None:
    assert time_of(NOON_MS) == datetime(2026, 11, 20, 12, tzinfo=UTC)
