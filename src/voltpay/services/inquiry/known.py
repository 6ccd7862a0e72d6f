"""What each source knows of one payment, and what follows from all of it together. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from voltpay.core.ids import PaymentId
from voltpay.core.messages import Standing, processing
from voltpay.core.payment import Payment, Sealed, Status, account_of
from voltpay.services.inquiry.rows import PostedPayment, moment_of
from voltpay.services.inquiry.views import major

_OPEN: Final = frozenset({"sending", "unknown", "parked"})


class AttemptView(Struct, frozen=True):
    """An attempt as routing keeps it.

    `state` is sending, unknown, absent, executed, declined or parked; `explanation` is the reasoned
    choice, a JSON object; `note` says why it was declined, is unknown, …
    """

    number: int
    processor: str
    requested_at_ms: int
    state: str
    explanation: Mapping[str, object]
    note: str = ""


class ConflictView(Struct, frozen=True):
    """Another payment that came under the same id: the names of the fields that differ."""

    fields: Sequence[str]
    noticed_at_ms: int


class Charges(Struct, frozen=True):
    """What routing knows of a payment. `payment` is absent before the first attempt."""

    payment: Payment | None = None
    attempts: Sequence[AttemptView] = ()
    conflicts: Sequence[ConflictView] = ()


class DeadView(Struct, frozen=True):
    """A dead letter of a payment. `state`: buried, replayed, discarded."""

    id: int
    stage: str
    state: str
    buried_at_ms: int


class Posted(Struct, frozen=True):
    """What is cached of a posted payment."""

    row: PostedPayment
    charges: Charges


class Known(Struct, frozen=True):
    """All that was found of one payment. `lost` names the sources that could not be asked."""

    id: PaymentId
    cached: Standing | None = None
    row: PostedPayment | None = None
    charges: Charges | None = None
    letters: Sequence[DeadView] = ()
    claimed_at_ms: int | None = None
    lost: Sequence[str] = ()

    @property
    def standing(self) -> Standing | None:
        """The state of the highest rank; None if no source knows the payment.

        A dead letter ends nothing while an attempt is open: the resolver has the payment.
        """
        attempts = self.charges.attempts if self.charges is not None else ()
        proofs = [*_proofs(self), *(_attempted(attempt) for attempt in attempts)]
        if any(attempt.state in _OPEN for attempt in attempts):
            proofs = [proof for proof in proofs if proof.rank != Standing.RANK_DEAD]
        return max(proofs, key=lambda proof: proof.rank, default=None)


def _proofs(known: Known) -> Iterable[Standing]:
    if known.cached is not None:
        yield known.cached
    if known.row is not None:
        yield known.row.standing
    if any(letter.state != "replayed" for letter in known.letters):
        yield Standing(Status.FAILED, "dead", Standing.RANK_DEAD)
    if known.claimed_at_ms is not None:
        yield Standing(Status.QUEUED, "accepted", Standing.RANK_QUEUED)


def _attempted(attempt: AttemptView) -> Standing:
    match attempt.state:
        case "executed":
            return Standing(Status.COMPLETED, "executed", Standing.RANK_SETTLED)
        case "declined":
            return Standing(Status.FAILED, "declined", Standing.RANK_SETTLED)
        case "sending":
            return processing("charging")
        case "unknown" | "parked":
            return processing("unknown")
        case _:
            return processing("deferred")


class AttemptAnswer(Struct, frozen=True, rename="camel"):
    """One attempt to have the payment charged, and why that processor was chosen."""

    number: int
    processor: str
    state: str
    requested_at: datetime
    explanation: Mapping[str, object]
    note: str


class ConflictAnswer(Struct, frozen=True, rename="camel"):
    """Another payment came under the same id and was refused: which fields differed."""

    fields: Sequence[str]
    noticed_at: datetime


class PaymentAnswer(Struct, frozen=True, rename="camel", omit_defaults=True):
    """All that is known of a payment; what no store knows yet is left out. Major units."""

    correlation_id: UUID
    status: Status
    detail: str
    attempts: Sequence[AttemptAnswer]
    conflicts: Sequence[ConflictAnswer]
    amount: Decimal | None = None
    currency: str | None = None
    account_id: str | None = None
    merchant_id: str | None = None
    processor: str | None = None
    fee: Decimal | None = None
    reason: str | None = None
    declined: str | None = None
    accepted_at: datetime | None = None
    requested_at: datetime | None = None
    settled_at: datetime | None = None
    posted_at: datetime | None = None
    description: str | None = None
    email: str | None = None
    metadata: Mapping[str, object] | None = None


class Personal(Struct, frozen=True):
    """What a payment's sealed details hold."""

    description: str | None = None
    email: str | None = None
    metadata: Mapping[str, object] | None = None


_PERSONAL: Final = msgspec.json.Decoder(Personal)


def personal_of(opened: bytes) -> Personal:
    """The details, as opened."""
    return _PERSONAL.decode(opened)


def details_of(known: Known) -> Sealed | None:
    """The sealed details, from whichever source has them."""
    if known.row is not None:
        return known.row.details
    payment = known.charges.payment if known.charges is not None else None
    return payment.details if payment is not None else None


def answer_of(known: Known, standing: Standing, personal: Personal) -> PaymentAnswer:
    """The whole answer."""
    charges = known.charges or Charges()
    bare = PaymentAnswer(
        correlation_id=known.id,
        status=standing.status,
        detail=standing.detail,
        attempts=[_attempt_answer(attempt) for attempt in charges.attempts],
        conflicts=[
            ConflictAnswer(conflict.fields, moment_of(conflict.noticed_at_ms))
            for conflict in charges.conflicts
        ],
        description=personal.description,
        email=personal.email,
        metadata=personal.metadata,
    )
    return msgspec.structs.replace(bare, **_facts_of(known, charges))


def _attempt_answer(attempt: AttemptView) -> AttemptAnswer:
    return AttemptAnswer(
        attempt.number,
        attempt.processor,
        attempt.state,
        moment_of(attempt.requested_at_ms),
        attempt.explanation,
        attempt.note,
    )


def _facts_of(known: Known, charges: Charges) -> dict[str, object]:
    if known.row is not None:
        return _facts_of_row(known.row)
    if charges.payment is not None:
        return _facts_of_payment(charges.payment)
    if known.claimed_at_ms is not None:
        return {"accepted_at": moment_of(known.claimed_at_ms)}
    return {}


def _facts_of_row(row: PostedPayment) -> dict[str, object]:
    return {
        "amount": major(row.amount_minor, row.currency),
        "currency": row.currency,
        "account_id": row.account,
        "merchant_id": row.merchant,
        "processor": row.processor,
        "fee": major(row.fee_minor, row.currency),
        "reason": row.reason,
        "declined": row.declined or None,
        "accepted_at": moment_of(row.accepted_at_ms),
        "requested_at": moment_of(row.requested_at_ms),
        "settled_at": moment_of(row.settled_at_ms),
        "posted_at": moment_of(row.posted_at_ms),
    }


def _facts_of_payment(payment: Payment) -> dict[str, object]:
    return {
        "amount": major(payment.amount_minor, payment.currency),
        "currency": payment.currency,
        "account_id": account_of(payment),
        "merchant_id": payment.merchant_id,
        "accepted_at": moment_of(payment.accepted_at_ms),
    }
