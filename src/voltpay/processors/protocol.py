"""The challenge's protocol as bytes: what is sent, and what an answer proves. Pure functions.

Every function that reads takes any bytes and raises nothing: what is not the contract's is Unknown,
Unanswered or NoHealth. Amounts are JSON numbers of major units; no float is made of them.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

from msgspec import Struct

from voltpay.core.ids import payment_id_of
from voltpay.core.money import AMOUNT_MAX, Currency, minor_of
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

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_RETRY_AFTER_MAX_S: Final = 60
_REASON_MAX: Final = 200
_ABSENT: Final = object()


class Page(Struct, frozen=True):
    """A page of a journal; `next_after` is where the one behind it begins, None at the end."""

    items: Sequence[Booked]
    next_after: int | None


def amount_text(amount_minor: int, decimals: int) -> str:
    """An amount in major units with exactly the currency's decimals: 1990 and 2 give 19.90."""
    if decimals == 0:
        return str(amount_minor)
    whole, part = divmod(amount_minor, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"


def time_text(time_ms: int) -> str:
    """RFC 3339 UTC with milliseconds."""
    second, ms = divmod(time_ms, 1000)
    return f"{_second_text(second)}.{ms:03d}Z"


@lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def time_ms(text: object) -> int | None:
    """Milliseconds of an RFC 3339 time with an offset, cut off below; None for anything else."""
    try:
        return time_ms_of(datetime.fromisoformat(text)) if isinstance(text, str) else None
    except ValueError:
        return None


def time_ms_of(time: datetime) -> int | None:
    """Milliseconds since the epoch, cut off below; None for a time without an offset."""
    return None if time.tzinfo is None else (time - _EPOCH) // _MS


def payment_json(payment_id: UUID, amount_minor: int, decimals: int, requested_at_ms: int) -> bytes:
    """A payment as it stands in a charge and in the answer to a question."""
    return (
        f'{{"correlationId":"{payment_id}","amount":{amount_text(amount_minor, decimals)},'
        f'"requestedAt":"{time_text(requested_at_ms)}"}}'
    ).encode()


def strict_json(body: bytes) -> object:
    """The value of a JSON text, numbers as Decimal. Raises ValueError, also for NaN and repeats."""
    try:
        return json.loads(
            body,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_repeats,
        )
    except (RecursionError, ArithmeticError) as error:
        raise ValueError("nested too deep, or a number out of all bounds") from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _without_repeats(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is repeated")
    return value


def amount_minor_of(value: object, currency: Currency) -> int | None:
    """Minor units of a parsed JSON number within the bounds of a payment; None for all else."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    exponent = value.as_tuple().exponent
    # Without these bounds 1E+999999 would become an integer of a million digits.
    if not isinstance(exponent, int) or exponent < -12 or value.adjusted() > 14:
        return None
    minor = minor_of(value, currency)
    return minor if minor is not None and 0 < minor <= AMOUNT_MAX else None


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
    if not body:
        return Executed(charge.amount_minor, charge.requested_at_ms)
    try:
        answer = strict_json(body)
    except ValueError:
        return Unknown("unreadable answer")
    if isinstance(answer, dict) and _contradicts(answer, charge, currency):
        return Unknown("the answer speaks of another payment")
    return Executed(charge.amount_minor, charge.requested_at_ms)


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
