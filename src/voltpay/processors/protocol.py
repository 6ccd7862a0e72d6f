"""The challenge's protocol as text: amounts, times and JSON, read strictly and written exactly.

Amounts are JSON numbers of major units; no float is made of them.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from voltpay.core.money import AMOUNT_MAX, Currency, amount_text, minor_of
from voltpay.core.times import time_text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


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
