"""What an answer in the challenge's protocol proves. Pure functions of status and body.

They take any bytes and raise nothing: what is not the contract's is Unknown, Unanswered, NoHealth.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

from msgspec import Struct

from voltpay.core.ids import payment_id_of
from voltpay.core.money import Currency
from voltpay.processors.protocol import amount_minor_of, strict_json, time_ms
from voltpay.processors.seam import (
    Absent,
    Booked,
    Charge,
    Declined,
    Duplicate,
    Executed,
    Finding,
    Found,
    Health,
    NoHealth,
    NotDone,
    Outcome,
    Unanswered,
    Unknown,
)

_RETRY_AFTER_MAX_S: Final = 60
_REASON_MAX: Final = 200
_ABSENT: Final = object()
_OF_PAYMENT: Final = ("amount", "correlationId", "requestedAt")


class Page(Struct, frozen=True):
    """A page of a journal; `next_after` is where the one behind it begins, None at the end."""

    items: Sequence[Booked]
    next_after: int | None


def outcome_of(
    status: int, body: bytes, retry_after: str | None, charge: Charge, currency: Currency
) -> Outcome:
    """What the answer to a charge proves about that one POST."""
    match status:
        case 200:
            return _executed(body, charge, currency)
        case 402:
            return _declined(body)
        case 422:
            return Duplicate()
        case 429:
            return NotDone("429", False, retry_after_ms_of(retry_after))
        case 500 if not body:
            return NotDone("500", True)
        case _:
            return Unknown(f"status {status}")


def _executed(body: bytes, charge: Charge, currency: Currency) -> Outcome:
    said = _said_of_payment(body) if body else {}
    if said is None:
        return Unknown("unreadable answer")
    if said and _contradicts(said, charge, currency):
        return Unknown("the answer speaks of another payment")
    return Executed(charge.amount_minor, charge.requested_at_ms)


# Most processors answer every payment with the same words.
@lru_cache(maxsize=64)
def _said_of_payment(body: bytes) -> Mapping[str, object] | None:
    """What an answer says of the payment: empty for none of it, None if it is unreadable."""
    try:
        answer = strict_json(body)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return {}
    return {name: answer[name] for name in _OF_PAYMENT if name in answer}


def _contradicts(answer: Mapping[str, object], charge: Charge, currency: Currency) -> bool:
    amount = answer.get("amount", _ABSENT)
    payment_id = answer.get("correlationId", _ABSENT)
    time = answer.get("requestedAt", _ABSENT)
    return (
        (amount is not _ABSENT and amount_minor_of(amount, currency) != charge.amount_minor)
        or (payment_id is not _ABSENT and _uuid_of(payment_id) != charge.payment_id)
        or (time is not _ABSENT and time_ms(time) != charge.requested_at_ms)
    )


def _uuid_of(value: object) -> UUID | None:
    return payment_id_of(value) if isinstance(value, str) else None


def _declined(body: bytes) -> Outcome:
    try:
        answer = strict_json(body)
    except ValueError:
        return Unknown("unreadable answer")
    match answer:
        case {"declined": str(reason)} if line := _printable(reason):
            return Declined(line)
        case _:
            return Unknown("402 without a reason")


def _printable(text: str) -> str:
    return "".join(each for each in text[:_REASON_MAX] if each.isprintable()).strip()


def retry_after_ms_of(value: str | None) -> int:
    """Milliseconds of a Retry-After in seconds, at most a minute; 0 for none or a date."""
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
        return 0
    return min(int(value), _RETRY_AFTER_MAX_S) * 1000


def finding_of(status: int, body: bytes, payment_id: UUID, currency: Currency) -> Finding:
    """What the answer to the question for one payment proves."""
    if status == 404:
        return Absent()
    if status != 200:
        return Unanswered(f"status {status}")
    booked = _booked(_value_of(body), currency)
    if booked is None or booked.payment_id != payment_id:
        return Unanswered("unreadable answer")
    return Found(booked.amount_minor, booked.requested_at_ms)


def _value_of(body: bytes) -> object:
    try:
        return strict_json(body)
    except ValueError:
        return None


def _booked(value: object, currency: Currency) -> Booked | None:
    match value:
        case {"correlationId": str(text), "amount": Decimal() as amount, "requestedAt": time}:
            payment_id, minor = payment_id_of(text), amount_minor_of(amount, currency)
            requested_at_ms = time_ms(time)
        case _:
            return None
    if payment_id is None or minor is None or requested_at_ms is None:
        return None
    return Booked(payment_id, minor, requested_at_ms)


def health_of(status: int, body: bytes, retry_after: str | None) -> Health | NoHealth:
    """What the answer to the question for health says."""
    if status == 429:
        return NoHealth("status 429", max(1, retry_after_ms_of(retry_after)))
    if status != 200:
        return NoHealth(f"status {status}")
    match _value_of(body):
        case {"failing": bool(failing), "minResponseTime": Decimal() as ms} if 0 <= ms < 10**9:
            return Health(failing, int(ms))
        case _:
            return NoHealth("unreadable answer")


def page_of(body: bytes, currency: Currency) -> Page | None:
    """A page of the journal; None if it is not one, whole and readable."""
    match _value_of(body):
        case {"items": list(rows), "next": None | Decimal() as following}:
            items = [_booked(row, currency) for row in rows]
            if None in items or (following is not None and not 0 < following < 10**18):
                return None
            after = None if following is None else int(following)
            return Page([item for item in items if item is not None], after)
        case _:
            return None
