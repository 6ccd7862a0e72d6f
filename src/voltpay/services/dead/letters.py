"""A dead letter, as it is kept and as it is shown. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Struct

from voltpay.core.codec import Unreadable, decode
from voltpay.core.messages import (
    Message,
    PaymentAccepted,
    PaymentDead,
    PaymentDeferred,
    PaymentPosted,
    PaymentSettled,
)
from voltpay.core.money import CURRENCIES, major_of
from voltpay.core.payment import Payment, Sealed, account_of


class Letter(Struct, frozen=True):
    """A row. `payload` is the sealed body; `state` is buried, replayed or discarded."""

    id: int
    topic: str
    partition: int
    position: int
    key: str
    stage: str
    payment_id: UUID | None
    payload: Sealed
    error: str
    failures: int
    buried_at: datetime
    state: str
    reason: str
    changed_at: datetime | None
    replays: int


class LetterAnswer(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A dead letter: what was buried, where it stood, why, and what became of it."""

    id: int
    state: str
    stage: str
    topic: str
    partition: int
    position: int
    error: str
    failures: int
    replays: int
    buried_at: datetime
    payment_id: UUID | None = None
    reason: str = ""
    changed_at: datetime | None = None


class Letters(Struct, frozen=True):
    """A page of dead letters, newest first. `next` is the cursor to the page after."""

    items: Sequence[LetterAnswer]
    next: str | None


class LetterShown(Struct, frozen=True, rename="camel"):
    """A dead letter with its message, personal data left out; None if it cannot be read."""

    letter: LetterAnswer
    message: Mapping[str, object] | None


def message_of(body: bytes) -> Message | None:
    """The message that was buried; None if this version cannot read it."""
    try:
        return decode(body)
    except Unreadable:
        return None


def payment_of(message: Message | None) -> Payment | None:
    """The payment that a message carries."""
    match message:
        case PaymentAccepted(payment=payment) | PaymentDeferred(payment=payment):
            return payment
        case PaymentSettled(payment=payment):
            return payment
        case PaymentPosted(settled=settled):
            return settled.payment
        case PaymentDead() | None:
            return None


def answer_of(letter: Letter) -> LetterAnswer:
    """The letter as listed."""
    return LetterAnswer(
        id=letter.id,
        state=letter.state,
        stage=letter.stage,
        topic=letter.topic,
        partition=letter.partition,
        position=letter.position,
        error=letter.error,
        failures=letter.failures,
        replays=letter.replays,
        buried_at=letter.buried_at,
        payment_id=letter.payment_id,
        reason=letter.reason,
        changed_at=letter.changed_at,
    )


def shown(letter: Letter, body: bytes) -> LetterShown:
    """The letter with what its body says, sealed details and digests left out."""
    message = message_of(body)
    return LetterShown(answer_of(letter), None if message is None else _plain(message))


def _plain(message: Message) -> dict[str, object]:
    facts: dict[str, object] = {"kind": str(type(message).__struct_config__.tag)}
    payment = payment_of(message)
    if payment is not None:
        facts["payment"] = _plain_payment(payment)
    match message:
        case PaymentDeferred(reason=reason, times=times):
            facts |= {"reason": reason, "times": times}
        case PaymentSettled():
            facts |= _plain_outcome(message)
        case PaymentPosted(settled=settled):
            facts |= _plain_outcome(settled) | {"sequence": message.sequence}
        case _:
            pass
    return facts


def _plain_outcome(settled: PaymentSettled) -> dict[str, object]:
    return {
        "processor": settled.attempt.processor,
        "attempt": settled.attempt.number,
        "executed": settled.executed,
        "declined": settled.declined,
        "requestedAt": _moment(settled.attempt.requested_at_ms),
        "settledAt": _moment(settled.settled_at_ms),
    }


def _plain_payment(payment: Payment) -> dict[str, object]:
    currency = CURRENCIES.get(payment.currency)
    return {
        "correlationId": payment.id,
        "amount": None if currency is None else major_of(payment.amount_minor, currency),
        "currency": payment.currency,
        "accountId": account_of(payment),
        "merchantId": payment.merchant_id,
        "acceptedAt": _moment(payment.accepted_at_ms),
        "epoch": payment.epoch,
    }


def _moment(at_ms: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
