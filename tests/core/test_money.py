"""Money: integers of minor units, and not a cent lost on the way in or out."""

from decimal import ROUND_DOWN, ROUND_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltpay.core.money import (
    AMOUNT_MAX,
    CURRENCIES,
    CURRENCIES_BY_NUMBER,
    Currency,
    fee_of,
    major_of,
    minor_of,
)

currencies = st.sampled_from(sorted(CURRENCIES.values(), key=lambda currency: currency.code))
amounts = st.integers(1, AMOUNT_MAX)


@given(amounts, currencies)
def test_an_amount_survives_the_way_out_and_in(amount_minor: int, currency: Currency) -> None:
    major = major_of(amount_minor, currency)
    assert minor_of(major, currency) == amount_minor
    assert minor_of(Decimal(str(major)), currency) == amount_minor
    assert major.as_tuple().exponent == -currency.decimals


@given(amounts, currencies)
def test_trailing_zeros_change_nothing(amount_minor: int, currency: Currency) -> None:
    longer = Decimal(f"{major_of(amount_minor, currency):f}{'' if currency.decimals else '.'}00")
    assert minor_of(longer, currency) == amount_minor


@given(amounts, currencies, st.integers(1, 9))
def test_a_decimal_too_many_is_refused(amount: int, currency: Currency, last: int) -> None:
    point = "" if currency.decimals else "."
    assert minor_of(Decimal(f"{major_of(amount, currency):f}{point}{last}"), currency) is None


@pytest.mark.parametrize(
    ("code", "major", "minor"),
    [("USD", "19.90", 1990), ("JPY", "500", 500), ("KWD", "1.234", 1234), ("CLF", "0.0001", 1)],
)
def test_a_currency_has_its_own_decimals(code: str, major: str, minor: int) -> None:
    assert minor_of(Decimal(major), CURRENCIES[code]) == minor
    assert str(major_of(minor, CURRENCIES[code])) == major


def test_an_exponent_is_only_another_way_to_write_an_amount() -> None:
    assert minor_of(Decimal("1E+2"), CURRENCIES["JPY"]) == 100
    assert minor_of(Decimal("1E-3"), CURRENCIES["USD"]) is None


def test_every_currency_is_known_by_code_and_by_number() -> None:
    assert len(CURRENCIES_BY_NUMBER) == len(CURRENCIES)
    assert CURRENCIES_BY_NUMBER[978] is CURRENCIES["EUR"]
    assert all(
        len(code) == 3 and code.isupper() and 0 < currency.number < 1000
        for code, currency in CURRENCIES.items()
    )


@pytest.mark.parametrize(
    ("amount_minor", "fee", "expected"),
    [(1990, "0.05", 100), (10, "0.05", 0), (30, "0.05", 2), (50, "0.05", 2), (1990, "0", 0)],
)
def test_a_fee_is_rounded_half_to_even(amount_minor: int, fee: str, expected: int) -> None:
    assert fee_of(amount_minor, Decimal(fee)) == expected


@given(amounts, st.decimals(0, 1, places=4))
def test_a_fee_is_less_than_a_minor_unit_off(amount_minor: int, fee: Decimal) -> None:
    exact = amount_minor * fee
    low, high = (int(exact.to_integral_value(way)) for way in (ROUND_DOWN, ROUND_UP))
    assert low <= fee_of(amount_minor, fee) <= high


def test_the_largest_amount_fits_a_balance_many_times() -> None:
    assert AMOUNT_MAX * 9_000_000 < 2**63
