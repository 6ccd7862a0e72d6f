"""Payments and messages for the tests of the core, and strategies that make many of them."""

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from voltpay.core.ids import PaymentId
from voltpay.core.messages import (
    Attempt,
    Message,
    PaymentAccepted,
    PaymentDead,
    PaymentDeferred,
    PaymentPosted,
    PaymentSettled,
)
from voltpay.core.money import AMOUNT_MAX, CURRENCIES
from voltpay.core.payment import Fingerprint, Payment

ID = PaymentId(UUID("0192f0c1-2a3b-4c5d-8e6f-708192a3b4c5"))


def payment(**changes: Any) -> Payment:
    """A payment, with whatever a test says about it."""
    fields: dict[str, Any] = {
        "id": ID,
        "amount_minor": 1990,
        "currency": "USD",
        "account_id": "alice",
        "merchant_id": "shop",
        "accepted_at_ms": 1_700_000_000_000,
        "fingerprint": Fingerprint(bytes(56)),
    }
    return Payment(**(fields | changes))


def settled(**changes: Any) -> PaymentSettled:
    """An executed payment, with whatever a test says about it."""
    fields: dict[str, Any] = {
        "payment": payment(),
        "attempt": Attempt(1, "default", 1_700_000_000_500, "cheapest"),
        "executed": True,
        "fee_minor": 100,
        "settled_at_ms": 1_700_000_000_700,
    }
    return PaymentSettled(**(fields | changes))


def posted(of: PaymentSettled) -> PaymentPosted:
    """The same, posted."""
    return PaymentPosted(of, sequence=1, posted_at_ms=1_700_000_001_000, partition=3, position=9)


_times = st.integers(0, 2**53)
_names = st.text(st.characters(codec="utf-8"), max_size=64)
_ids = st.uuids().map(PaymentId)

payments: st.SearchStrategy[Payment] = st.builds(
    payment,
    id=_ids,
    amount_minor=st.integers(1, AMOUNT_MAX),
    currency=st.sampled_from(sorted(CURRENCIES)),
    account_id=_names,
    merchant_id=_names,
    accepted_at_ms=_times,
    fingerprint=st.binary(min_size=56, max_size=56),
    epoch=st.integers(0, 2**31 - 1),
    details=st.none() | st.binary(max_size=200),
    traceparent=_names,
)
_attempts = st.builds(
    Attempt, number=st.integers(1, 99), processor=_names, requested_at_ms=_times, reason=_names
)
_settled = st.builds(
    PaymentSettled,
    payment=payments,
    attempt=_attempts,
    executed=st.booleans(),
    fee_minor=st.integers(0, AMOUNT_MAX),
    settled_at_ms=_times,
    declined=_names,
)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(PaymentAccepted, payments),
    st.builds(PaymentDeferred, payments, _names, st.integers(1, 99)),
    _settled,
    st.builds(PaymentPosted, _settled, _times, _times, st.integers(0, 99), _times),
    st.builds(
        PaymentDead,
        topic=_names,
        key=_names,
        stage=_names,
        partition=st.integers(0, 99),
        position=_times,
        body=st.binary(max_size=200),
        error=_names,
        failures=st.integers(0, 99),
        buried_at_ms=_times,
        payment_id=_names,
    ),
)
