"""A payment: what the customer asked, and the states of its life."""

from enum import StrEnum
from typing import Final, NewType

from msgspec import Struct

from voltpay.core.ids import AccountId, PaymentId, anonymous_account_of

Sealed = NewType("Sealed", bytes)
"""Personal data after sealing: only `foundation/runtime/sealing.py` makes and opens it."""

Fingerprint = NewType("Fingerprint", bytes)
"""One keyed digest per field of the plaintext, in a fixed order: tells which fields differ."""

FINGERPRINT_FIELDS: Final = (
    "amount",
    "currency",
    "accountId",
    "merchantId",
    "description",
    "email",
    "metadata",
)
"""The fields of a payment whose digests make its fingerprint, in order."""


class Payment(Struct, frozen=True, array_like=True):
    """What the customer asked for; passed on whole from message to message.

    `account_id` is empty where the client named none. Times are UTC in milliseconds. `epoch` is
    the installation's at acceptance: a purge of a sandbox raises it, and what is older is dropped.
    """

    id: PaymentId
    amount_minor: int
    currency: str
    account_id: str
    merchant_id: str
    accepted_at_ms: int
    fingerprint: Fingerprint
    epoch: int = 0
    details: Sealed | None = None
    traceparent: str = ""


class Status(StrEnum):
    """Where a payment is, in the words of the API."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        """Whether it can no longer change, but by a person's replay of a dead letter."""
        return self in {Status.COMPLETED, Status.FAILED}


def ordering_key(payment: Payment) -> str:
    """What payments must keep their order by: the account, or the payment itself without one."""
    return payment.account_id or str(payment.id)


def account_of(payment: Payment) -> AccountId:
    """The account whose balance the payment changes."""
    return AccountId(payment.account_id) or anonymous_account_of(payment.merchant_id)
