"""Which postings a settled payment makes: the chart of accounts, double entry, numbering. Pure.

    executed      customer:{account} -amount    clearing:{processor} +amount
    with a fee    merchant:{merchant} -fee      fees:{processor} +fee
    declined      no posting

So clearing equals what the processor says it charged, and fees what it kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from msgspec import Struct

from voltpay.core.errors import Broken
from voltpay.core.ids import ANONYMOUS, PaymentId
from voltpay.core.messages import PaymentSettled
from voltpay.core.money import AMOUNT_MAX, CURRENCIES
from voltpay.core.payment import account_of

KIND_SETTLED: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()
_DAY_MS: Final = 86_400_000
_TIME_MAX_MS: Final = 253_402_300_799_999

FactKey = tuple[PaymentId, date]
"""What a fact is known by: payment and UTC day of `requested_at`, never a position in the log."""
BalanceKey = tuple[int, int, int]
"""Account id, currency number, slot: one row of the balances, written by one partition."""


class UnbalancedEntry(Broken):
    """The postings of an entry do not sum to zero: its whole batch is refused."""


class UnpostableFact(Broken):
    """A settled payment with an amount, a fee, a currency or a time that no book can hold."""


Leg = tuple[str, int, int]
"""One posting of an entry: account, slot, amount in minor units.

The slot tells apart the rows of an account that partitions share. A plain tuple: four a payment.
"""


class Posted(NamedTuple):
    """What the first posting of a fact gave: a repeat publishes the same."""

    sequence: int
    posted_at_ms: int


class Entry(Struct, frozen=True):
    """A settled payment and its postings in minor units of `currency`, the customer's first."""

    key: FactKey
    settled: PaymentSettled
    partition: int
    currency: int
    customer: str
    legs: tuple[Leg, ...]
    position: int = 0


def entry_of(settled: PaymentSettled, partition: int, position: int = 0) -> Entry:
    """The entry of a settled payment that stood there on the log. Raises UnpostableFact."""
    payment = settled.payment
    currency = CURRENCIES.get(payment.currency)
    requested_at_ms = settled.attempt.requested_at_ms
    if currency is None:
        raise UnpostableFact(f"payment {payment.id}: no currency {payment.currency!r}")
    if not (0 < payment.amount_minor <= AMOUNT_MAX and 0 <= settled.fee_minor <= AMOUNT_MAX):
        raise UnpostableFact(f"payment {payment.id}: amount or fee out of bounds")
    if not 0 <= requested_at_ms <= _TIME_MAX_MS:
        raise UnpostableFact(f"payment {payment.id}: requested_at out of bounds")
    account = account_of(payment)
    # By name, not by an absent account id: so no name that a client gives shares a row between
    # the partition of its key and the partitions of the anonymous payments.
    slot = partition if account.startswith(ANONYMOUS) else 0
    customer = f"customer:{account}"
    legs = _legs(settled, customer, slot, partition) if settled.executed else ()
    key = payment.id, day_of(requested_at_ms)
    return Entry(key, settled, partition, currency.number, customer, legs, position)


def _legs(settled: PaymentSettled, customer: str, slot: int, partition: int) -> tuple[Leg, ...]:
    amount, fee = settled.payment.amount_minor, settled.fee_minor
    processor = settled.attempt.processor
    if not fee:
        return (customer, slot, -amount), (f"clearing:{processor}", partition, amount)
    return (
        (customer, slot, -amount),
        (f"clearing:{processor}", partition, amount),
        (f"merchant:{settled.payment.merchant_id}", partition, -fee),
        (f"fees:{processor}", partition, fee),
    )


def refuse_unbalanced(entries: Iterable[Entry]) -> None:
    """Raise UnbalancedEntry if any entry's postings do not sum to zero."""
    for entry in entries:
        rest = sum([leg[2] for leg in entry.legs])
        if rest:
            payment = entry.settled.payment
            raise UnbalancedEntry(f"payment {payment.id}: {rest} {payment.currency} left over")


class Movements(NamedTuple):
    """What a batch does to balances, as columns: each one's sum and number of postings.

    In the order of keys: everybody locks rows in this order.
    """

    keys: Sequence[BalanceKey]
    amounts: Sequence[int]
    postings: Sequence[int]


def movements_of(keys: Iterable[BalanceKey], amounts: Iterable[int]) -> Movements:
    """One movement a balance, however often the batch touches it."""
    sums: dict[BalanceKey, int] = {}
    counts: dict[BalanceKey, int] = {}
    for key, amount_minor in zip(keys, amounts, strict=True):
        if key in sums:
            sums[key] += amount_minor
            counts[key] += 1
        else:
            sums[key] = amount_minor
            counts[key] = 1
    moved = sorted(sums)
    return Movements(moved, [sums[key] for key in moved], [counts[key] for key in moved])


def numbered(
    keys: Iterable[BalanceKey],
    movements: Movements,
    sequence_after: Mapping[BalanceKey, int],
) -> list[int]:
    """The sequence of each posting in order, given each moved balance's sequence afterwards."""
    last = {
        key: sequence_after[key] - postings
        for key, postings in zip(movements.keys, movements.postings, strict=True)
    }
    numbers: list[int] = []
    for key in keys:
        last[key] = number = last[key] + 1
        numbers.append(number)
    return numbers


def day_of(at_ms: int) -> date:
    """The UTC day of a time."""
    return date.fromordinal(_EPOCH_ORDINAL + at_ms // _DAY_MS)


def time_of(at_ms: int) -> datetime:
    """A time as tables hold it."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def ms_of(at: datetime) -> int:
    """A table's time as messages hold it, cut to the millisecond."""
    return (at - _EPOCH) // timedelta(milliseconds=1)
