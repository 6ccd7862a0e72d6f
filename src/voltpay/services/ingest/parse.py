"""Read a request to make a payment: bytes and headers in, checked values out.

The bytes are read strictly: JSON as RFC 8259 has it, no repeated keys, no NaN, numbers as
decimals. Malformed is Malformed (400); well-formed but wrong is Invalid (422) and names the field.
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn

from msgspec import Struct

from voltpay.core.errors import Rejected
from voltpay.core.ids import PaymentId, is_account, is_name, payment_id_of, payment_id_of_key
from voltpay.core.money import AMOUNT_MAX, CURRENCIES, Currency, minor_of

DESCRIPTION_MAX: Final = 500
METADATA_KEYS_MAX: Final = 50
METADATA_TEXT_MAX: Final = 500
_NESTING_MAX: Final = 32
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_KEY_MAX: Final = 40
_VISIBLE: Final = r"[^@\s\u0000-\u001f\u007f-\u009f\ufeff]"
EMAIL: Final = f"^{_VISIBLE}{{1,64}}@{_VISIBLE}{{1,189}}$"
"""Means the same in Python and in a JSON Schema, whose spaces differ by U+0085 and U+FEFF."""
_EMAIL: Final = re.compile(EMAIL)
_PLAIN_NUMBER: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
_IDEMPOTENCY_KEY: Final = re.compile(r'"([\x20-\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')


class Malformed(Rejected):
    """The body is not JSON of the expected shape."""

    slug = "malformed-body"
    status = 400
    title = "The body is not a JSON object"


class Invalid(Rejected):
    """The body is readable, but a field is missing, unknown or wrong."""

    slug = "invalid-payment"
    status = 422
    title = "The payment cannot be accepted as it is"


class Request(Struct, frozen=True):
    """A payment as asked for. Optional fields are empty where the client left them out."""

    id: PaymentId
    amount_minor: int
    currency: Currency
    account_id: str = ""
    merchant_id: str = ""
    description: str = ""
    email: str = ""
    metadata: bytes = b""


_FIELDS: Final = frozenset(
    {
        "correlationId",
        "amount",
        "currency",
        "accountId",
        "merchantId",
        "description",
        "email",
        "metadata",
    }
)


def parse(body: bytes, idempotency_key: str | None, currency_default: str) -> Request:
    """The payment that a body and an `Idempotency-Key` ask for. Raises Malformed or Invalid."""
    fields = _object_of(body)
    unknown = fields.keys() - _FIELDS
    if unknown:
        names = tuple(sorted(unknown))
        raise Invalid("unknown field", fields=names)
    currency = _currency_of(fields, currency_default)
    return Request(
        id=_id_of(fields, idempotency_key),
        amount_minor=_amount_of(fields, currency),
        currency=currency,
        account_id=_text_of(fields, "accountId", is_account),
        merchant_id=_text_of(fields, "merchantId", is_name),
        description=_text_of(fields, "description", lambda text: len(text) <= DESCRIPTION_MAX),
        email=_text_of(fields, "email", lambda text: _EMAIL.fullmatch(text) is not None),
        metadata=_metadata_of(fields),
    )


def _object_of(body: bytes) -> Mapping[str, object]:
    try:
        text = body.decode("utf-8")
        _refuse_deep(text)
        value: object = json.loads(
            text,
            object_pairs_hook=_unrepeated,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise Malformed("the body is not UTF-8") from error
    except (ValueError, InvalidOperation) as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed("the body is not a JSON object")
    return value


def _refuse_deep(text: str) -> None:
    """The decoder's own bound on nesting is another one in each version of Python."""
    if text.count("{") + text.count("[") <= _NESTING_MAX:
        return
    depth = 0
    for mark in _STRINGS.sub("", text):
        depth += (mark in "{[") - (mark in "}]")
        if depth > _NESTING_MAX:
            raise Malformed("the body is nested too deeply")


def _unrepeated(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = tuple(sorted({name for name in names if names.count(name) > 1}))
        raise Malformed("a key is repeated", fields=repeated)
    return fields


def _refuse_constant(text: str) -> NoReturn:
    raise Malformed(f"{text} is no JSON number")


def _id_of(fields: Mapping[str, object], idempotency_key: str | None) -> PaymentId:
    from_key = None if idempotency_key is None else _id_of_header(idempotency_key)
    value = fields.get("correlationId")
    if value is None and "correlationId" not in fields:
        if from_key is None:
            raise Invalid("correlationId is missing", fields=("correlationId",))
        return from_key
    found = payment_id_of(value) if isinstance(value, str) else None
    if found is None:
        raise Invalid("correlationId is not a hyphenated UUID", fields=("correlationId",))
    if from_key is not None and from_key != found and idempotency_key != value:
        raise Invalid(
            "Idempotency-Key and correlationId name different payments",
            fields=("correlationId", "Idempotency-Key"),
        )
    return found


def _id_of_header(text: str) -> PaymentId:
    match = _IDEMPOTENCY_KEY.fullmatch(text)
    if match is None:
        raise Invalid(
            "Idempotency-Key is not 1 to 255 visible characters", fields=("Idempotency-Key",)
        )
    return payment_id_of_key(match[1] or match[2])


def _currency_of(fields: Mapping[str, object], default: str) -> Currency:
    code = fields.get("currency", default)
    currency = CURRENCIES.get(code) if isinstance(code, str) else None
    if currency is None:
        raise Invalid("currency is no ISO 4217 code", fields=("currency",))
    return currency


def _amount_of(fields: Mapping[str, object], currency: Currency) -> int:
    if "amount" not in fields:
        raise Invalid("amount is missing", fields=("amount",))
    amount = fields["amount"]
    if isinstance(amount, str) and _PLAIN_NUMBER.fullmatch(amount):
        amount = Decimal(amount)
    if not isinstance(amount, Decimal):
        raise Invalid("amount is neither a number nor the text of one", fields=("amount",))
    # adjusted() first: scaling 1e999999999 would fill the memory.
    if amount <= 0 or not -30 <= amount.adjusted() <= 15:
        raise Invalid("amount is not positive, or is too large", fields=("amount",))
    minor = minor_of(amount, currency)
    if minor is None:
        raise Invalid(
            f"amount has more than the {currency.decimals} decimals of {currency.code}",
            fields=("amount",),
        )
    if minor > AMOUNT_MAX:
        raise Invalid(f"amount is above {AMOUNT_MAX} minor units", fields=("amount",))
    return minor


def _text_of(fields: Mapping[str, object], name: str, is_right: Callable[[str], bool]) -> str:
    if name not in fields:
        return ""
    value = fields[name]
    if not isinstance(value, str) or not value or not is_right(value) or not _is_storable(value):
        raise Invalid(f"{name} is not as the schema says", fields=(name,))
    return value


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= mark <= "\udfff" for mark in text)


def _metadata_of(fields: Mapping[str, object]) -> bytes:
    if "metadata" not in fields:
        return b""
    value = fields["metadata"]
    if not isinstance(value, dict) or len(value) > METADATA_KEYS_MAX:
        raise Invalid(
            f"metadata is not an object of at most {METADATA_KEYS_MAX} texts", fields=("metadata",)
        )
    for key, text in value.items():
        is_right = 0 < len(key) <= _KEY_MAX and _is_storable(key) and isinstance(text, str)
        if not is_right or len(text) > METADATA_TEXT_MAX or not _is_storable(text):
            raise Invalid("metadata takes short texts only", fields=(f"metadata.{key[:_KEY_MAX]}",))
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
