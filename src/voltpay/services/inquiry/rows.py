"""Posted facts to rows of the read model, and what is read from it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from voltpay.core.errors import Broken
from voltpay.core.ids import PaymentId
from voltpay.core.messages import PaymentPosted, Standing
from voltpay.core.money import CURRENCIES, CURRENCIES_BY_NUMBER
from voltpay.core.payment import Sealed, Status, account_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownCurrency(Broken):
    """A fact, or a row, in a currency that is none of ISO 4217."""


class PostedPayment(Struct, frozen=True):
    """A row of the read model. `details` are sealed."""

    id: PaymentId
    account: str
    merchant: str
    processor: str
    currency: str
    amount_minor: int
    fee_minor: int
    executed: bool
    declined: str
    attempt: int
    reason: str
    sequence: int
    accepted_at_ms: int
    requested_at_ms: int
    settled_at_ms: int
    posted_at_ms: int
    details: Sealed | None = None

    @property
    def standing(self) -> Standing:
        """What the row proves."""
        if self.executed:
            return Standing(Status.COMPLETED, "executed", Standing.RANK_POSTED)
        return Standing(Status.FAILED, "declined", Standing.RANK_POSTED)


class Total(Struct, frozen=True):
    """How many payments a processor executed, and their sum in minor units."""

    count: int
    amount_minor: int


class Totals(Struct, frozen=True):
    """Totals by processor, and the progress by partition of the snapshot that they are from."""

    by_processor: Mapping[str, Total]
    progress: Mapping[int, int]


class Balance(Struct, frozen=True):
    """An account's sum of postings in one currency, over all its slots."""

    currency: str
    amount_minor: int
    version: int


class Balances(Struct, frozen=True):
    """An account's balances; `facts`, the version of answers, counts all payments in them."""

    facts: int
    posted_at_ms: int
    balances: tuple[Balance, ...]


class Listed(Struct, frozen=True):
    """Rows of a page, newest first, with the version of the account in the same snapshot."""

    facts: int
    rows: tuple[PostedPayment, ...]


def row_of(fact: PaymentPosted) -> PostedPayment:
    """The row that a fact makes."""
    settled = fact.settled
    payment, attempt = settled.payment, settled.attempt
    return PostedPayment(
        id=payment.id,
        account=account_of(payment),
        merchant=payment.merchant_id,
        processor=attempt.processor,
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        fee_minor=settled.fee_minor,
        executed=settled.executed,
        declined=settled.declined,
        attempt=attempt.number,
        reason=attempt.reason,
        sequence=fact.sequence,
        accepted_at_ms=payment.accepted_at_ms,
        requested_at_ms=attempt.requested_at_ms,
        settled_at_ms=settled.settled_at_ms,
        posted_at_ms=fact.posted_at_ms,
        details=payment.details,
    )


def values_of(
    facts: Sequence[PaymentPosted],
) -> tuple[list[tuple[object, ...]], list[int], list[int]]:
    """The facts as rows of `inquiry.fact`, each payment once; then partitions, and how far each is.

    Accounts that every partition touches have a row a partition; an account with a key has one.
    """
    first = {fact.settled.payment.id: fact for fact in reversed(facts)}
    rows: list[tuple[object, ...]] = [
        (
            row.id, row.account, fact.partition if _is_anonymous(fact) else 0, fact.partition,
            fact.settled.payment.epoch, row.merchant, row.processor, number_of(row.currency),
            row.amount_minor, row.fee_minor, row.executed, row.declined, row.attempt, row.reason,
            row.sequence, row.accepted_at_ms, row.requested_at_ms, row.settled_at_ms,
            row.posted_at_ms, row.details,
        )
        for fact in first.values()
        for row in (row_of(fact),)
    ]  # fmt: skip
    progress: dict[int, int] = {}
    for fact in facts:
        progress[fact.partition] = max(fact.position, progress.get(fact.partition, 0))
    return rows, list(progress.keys()), list(progress.values())


def _is_anonymous(fact: PaymentPosted) -> bool:
    return not fact.settled.payment.account_id


def number_of(code: str) -> int:
    """The numeric code of a currency. Raises UnknownCurrency."""
    try:
        return CURRENCIES[code].number
    except KeyError as error:
        raise UnknownCurrency(f"no currency of ISO 4217: {code!r}") from error


def code_of(number: int) -> str:
    """The alphabetic code of a currency. Raises UnknownCurrency."""
    try:
        return CURRENCIES_BY_NUMBER[number].code
    except KeyError as error:
        raise UnknownCurrency(f"no currency of ISO 4217: {number}") from error


def moment_of(at_ms: int) -> datetime:
    """The time in UTC, exact."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def ms_of(moment: datetime) -> int:
    """Milliseconds since 1970 UTC, exact."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
