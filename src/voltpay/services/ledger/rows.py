"""The rows of a batch, as COPY takes them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from voltpay.core.codec import encode
from voltpay.core.ids import PaymentId
from voltpay.foundation.engines.postgres.values import native_ids
from voltpay.services.ledger.entries import KIND_SETTLED, BalanceKey, Entry, FactKey, time_of

Row = tuple[object, ...]

IDEMPOTENCY: Final = ("payment_id", "kind", "day", "sequence", "posted_at")
PAYMENT: Final = (
    *("payment_id", "day", "account_id", "merchant_id", "processor_id", "currency"),
    *("amount_minor", "fee_minor", "executed", "sequence", "requested_at", "posted_at"),
    *("partition", "settled", "position"),
)
POSTING: Final = (
    *("payment_id", "kind", "day", "account_id", "slot", "currency", "sequence"),
    "amount_minor",
)


class Ids(NamedTuple):
    """Ids of the names in a batch."""

    accounts: Mapping[str, int]
    merchants: Mapping[str, int]
    processors: Mapping[str, int]


class Legs(NamedTuple):
    """All postings of a batch in order, as columns: the balance each moves, and by how much."""

    keys: Sequence[BalanceKey]
    amounts: Sequence[int]


def legs_of(entries: Sequence[Entry], accounts: Mapping[str, int]) -> Legs:
    """The postings of entries, one after the other."""
    keys: list[BalanceKey] = []
    amounts: list[int] = []
    for entry in entries:
        currency = entry.currency
        for account, slot, amount_minor in entry.legs:
            keys.append((accounts[account], currency, slot))
            amounts.append(amount_minor)
    return Legs(keys, amounts)


def customer_sequences(entries: Sequence[Entry], numbers: Sequence[int]) -> list[int]:
    """Of the sequences of all postings, those of each entry's customer; 0 for no posting."""
    sequences, at = [], 0
    for entry in entries:
        sequences.append(numbers[at] if entry.legs else 0)
        at += len(entry.legs)
    return sequences


def keys_of(entries: Sequence[Entry]) -> list[FactKey]:
    """The keys of entries, made ready for the driver once: they stand in all their rows."""
    ids = native_ids([entry.key[0] for entry in entries])
    return [(PaymentId(one), e.key[1]) for one, e in zip(ids, entries, strict=True)]


def idempotency_rows(keys: Sequence[FactKey], sequences: Sequence[int], at: datetime) -> list[Row]:
    """What a repeat will find, in the order of its index: neighbours share a page of it."""
    pairs = sorted(zip(keys, sequences, strict=True), key=lambda pair: pair[0][0].bytes)
    return [(payment_id, KIND_SETTLED, day, sequence, at) for (payment_id, day), sequence in pairs]


def payment_halves(
    entries: Sequence[Entry], keys: Sequence[FactKey], ids: Ids, at: datetime
) -> list[tuple[Row, Row]]:
    """One row a payment, declined ones too: what stands before its sequence, and what behind it.

    With the fact as a rebuild replays it.
    """
    found: list[tuple[Row, Row]] = []
    for entry, key in zip(entries, keys, strict=True):
        settled = entry.settled
        payment, attempt = settled.payment, settled.attempt
        before = (
            *key,
            ids.accounts[entry.customer],
            ids.merchants[payment.merchant_id],
            ids.processors[attempt.processor],
            entry.currency,
            payment.amount_minor,
            settled.fee_minor,
            settled.executed,
        )
        requested_at = time_of(attempt.requested_at_ms)
        after = (requested_at, at, entry.partition, encode(settled), entry.position)
        found.append((before, after))
    return found


def payment_rows(halves: Sequence[tuple[Row, Row]], sequences: Sequence[int]) -> list[Row]:
    """The rows, with their sequences."""
    return [
        (*before, sequence, *after)
        for (before, after), sequence in zip(halves, sequences, strict=True)
    ]


def posting_rows(
    entries: Sequence[Entry], keys: Sequence[FactKey], legs: Legs, numbers: Sequence[int]
) -> list[Row]:
    """One row a posting."""
    facts = [key for entry, key in zip(entries, keys, strict=True) for _ in entry.legs]
    return [
        (payment_id, KIND_SETTLED, day, account, slot, currency, number, amount_minor)
        for (payment_id, day), (account, currency, slot), number, amount_minor in zip(
            facts, legs.keys, numbers, legs.amounts, strict=True
        )
    ]
