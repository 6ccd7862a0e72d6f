"""Identifiers: what each one names, and how it is read strictly."""

import re
from typing import Final, NewType
from uuid import UUID, uuid5

PaymentId = NewType("PaymentId", UUID)
AccountId = NewType("AccountId", str)
"""A customer's account as the client names it: 1 to 64 of `A-Z a-z 0-9 . _ : -`."""

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"
_NAME = re.compile(NAME, re.ASCII)
_HYPHENATED = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", re.ASCII
)
_IDEMPOTENCY_NAMESPACE: Final = UUID("6f2a4c4e-5d0f-5c0a-9a39-0c9b7f1d2e55")
ANONYMOUS: Final = "anonymous:"
ACCOUNT: Final = rf"^(?!{ANONYMOUS}){NAME[1:]}"


def payment_id_of(text: str) -> PaymentId | None:
    """A UUID in the hyphenated form of RFC 9562, upper or lower case; None for any other text."""
    return PaymentId(UUID(text)) if _HYPHENATED.fullmatch(text) else None


def payment_id_of_key(idempotency_key: str) -> PaymentId:
    """The UUIDv5 that stands for a client's `Idempotency-Key`."""
    return PaymentId(uuid5(_IDEMPOTENCY_NAMESPACE, idempotency_key))


def is_account(text: str) -> bool:
    """Whether a client may name its account so: a name that is not an anonymous account's."""
    return is_name(text) and not text.startswith(ANONYMOUS)


def is_name(text: str) -> bool:
    """Whether a text may name an account or a merchant."""
    return _NAME.fullmatch(text) is not None


def anonymous_account_of(merchant_id: str) -> AccountId:
    """The account that a merchant's payments without an `accountId` are booked to."""
    return AccountId(ANONYMOUS + merchant_id)
