"""What the OpenAPI document says of a payment is what is taken."""

import re

import pytest

from voltpay.core.money import CURRENCIES
from voltpay.foundation.runtime.http import json_bytes
from voltpay.services.ingest.parse import Invalid, parse
from voltpay.services.ingest.schema import operations

ID = "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3"


def request_of(*codes):
    """The body's properties, where payments may have these currencies."""
    post = operations(16_384, lambda code: code in codes)["/payments"]["post"]
    return post["requestBody"]["content"]["application/json"]["schema"]["properties"]


def is_taken(amount, code):
    """Whether a payment of this text of an amount is accepted."""
    body = f'{{"correlationId": "{ID}", "amount": "{amount}", "currency": "{code}"}}'
    try:
        parse(body.encode(), None, code)
    except Invalid:
        return False
    return True


def test_only_currencies_that_a_processor_takes_are_offered():
    assert request_of("EUR", "JPY")["currency"]["enum"] == ["EUR", "JPY"]
    assert request_of(*CURRENCIES)["currency"]["enum"] == list(CURRENCIES)


@pytest.mark.parametrize(
    ("code", "bounds"),
    [
        ("EUR", b"[0.01,9999999999.99]"),
        ("JPY", b"[1,999999999999]"),
        ("KWD", b"[0.001,999999999.999]"),
    ],
)
def test_the_bounds_of_an_amount_are_those_of_the_currency(code, bounds):
    number, _ = request_of(code)["amount"]["oneOf"]
    assert json_bytes([number["minimum"], number["maximum"]]) == bounds
    assert number["multipleOf"] == number["minimum"]


@pytest.mark.parametrize("code", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize(
    "amount",
    ["0", "0.0", "0.01", "0.001", "0.0001", "1", "1.0", "01", "1.10", "1.100", "1.", ".5", "-1",
     "+1", "1e2", "999999999", "9999999999", "99999999999", "999999999999", "9999999999999",
     "9999999999.99", "9999999999.999", "five", "", "1,5", "1_0", "\u0661"],
)  # fmt: skip
def test_a_text_is_taken_as_an_amount_exactly_if_the_pattern_says_so(code, amount):
    _, text = request_of(code)["amount"]["oneOf"]
    assert bool(re.search(text["pattern"], amount)) == is_taken(amount, code)
