"""The messages on the log: a payment, and what each stage learned about it.

Versioned and additive: a new field goes to the end and has a default. Topics are no property of
messages; `app/topology.py` says which message goes where.
"""

from typing import ClassVar, Final

from msgspec import Struct

from voltpay.core.payment import Payment, Status


class Attempt(Struct, frozen=True, array_like=True):
    """One attempt to have a payment charged: `number` counts from 1 within the payment."""

    number: int
    processor: str
    requested_at_ms: int
    reason: str


class PaymentAccepted(Struct, frozen=True, array_like=True, tag="accepted"):
    """A payment that Voltpay promised to make."""

    payment: Payment


class PaymentDeferred(Struct, frozen=True, array_like=True, tag="deferred"):
    """Could not be sent just now; `reason` says why, `times` how often so far."""

    payment: Payment
    reason: str
    times: int = 1


class PaymentSettled(Struct, frozen=True, array_like=True, tag="settled"):
    """The outcome is known: executed by the attempt's processor, or declined with a reason."""

    payment: Payment
    attempt: Attempt
    executed: bool
    fee_minor: int
    settled_at_ms: int
    declined: str = ""


class PaymentPosted(Struct, frozen=True, array_like=True, tag="posted"):
    """The ledger has it. `sequence` numbers the account's postings from 1; 0 where none was made.

    `partition` and `position` are those of the settled message it stems from.
    """

    settled: PaymentSettled
    sequence: int
    posted_at_ms: int
    partition: int
    position: int


class PaymentDead(Struct, frozen=True, array_like=True, tag="dead"):
    """A message that a stage could not handle, as it stood on `topic`.

    `payment_id` is the canonical text, empty where the body could not be read.
    """

    topic: str
    key: str
    stage: str
    partition: int
    position: int
    body: bytes
    error: str
    failures: int
    buried_at_ms: int
    payment_id: str = ""


Message = PaymentAccepted | PaymentDeferred | PaymentSettled | PaymentPosted | PaymentDead


class Standing(Struct, frozen=True):
    """What is known of a payment's state. The higher `rank` is the newer; `detail` explains it."""

    status: Status
    detail: str
    rank: int

    RANK_QUEUED: ClassVar[int] = 10
    RANK_PROCESSING: ClassVar[int] = 20
    RANK_DEAD: ClassVar[int] = 25
    RANK_SETTLED: ClassVar[int] = 30
    RANK_POSTED: ClassVar[int] = 40


QUEUED: Final = Standing(Status.QUEUED, "accepted", Standing.RANK_QUEUED)


def standing_of(message: Message) -> tuple[str, Standing]:
    """The payment's id (canonical text, empty if unknown) and the state a message proves."""
    match message:
        case PaymentAccepted(payment=payment):
            return str(payment.id), QUEUED
        case PaymentDeferred(payment=payment):
            return str(payment.id), processing("deferred")
        case PaymentSettled():
            return str(message.payment.id), _settled(message, Standing.RANK_SETTLED)
        case PaymentPosted(settled=settled):
            return str(settled.payment.id), _settled(settled, Standing.RANK_POSTED)
        case PaymentDead():
            return message.payment_id, Standing(Status.FAILED, "dead", Standing.RANK_DEAD)


def processing(detail: str) -> Standing:
    """The state of a payment that routing holds: charging, deferred or unknown."""
    return Standing(Status.PROCESSING, detail, Standing.RANK_PROCESSING)


def _settled(message: PaymentSettled, rank: int) -> Standing:
    if message.executed:
        return Standing(Status.COMPLETED, "executed", rank)
    return Standing(Status.FAILED, "declined", rank)
