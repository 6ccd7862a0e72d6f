"""What a batch adds to the books, within a transaction: balances move, then rows are copied."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from voltpay.foundation.engines.postgres.meanwhile import meanwhile
from voltpay.foundation.engines.postgres.pool import Session
from voltpay.services.ledger import rows
from voltpay.services.ledger.entries import (
    Entry,
    FactKey,
    Movements,
    Posted,
    movements_of,
    numbered,
    time_of,
)
from voltpay.services.ledger.rows import Ids

_MOVE: Final = """
insert into ledger.balance (account_id, currency, slot, amount_minor, sequence)
select * from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::bigint[], $5::bigint[])
    on conflict (account_id, currency, slot) do update
   set amount_minor = balance.amount_minor + excluded.amount_minor,
       sequence = balance.sequence + excluded.sequence
returning account_id, currency, slot, sequence
"""


class Ready(NamedTuple):
    """A batch as far as it is known before anything of it is asked or written."""

    entries: Sequence[Entry]
    ids: Ids
    keys: Sequence[FactKey]
    legs: rows.Legs
    moved: Movements


def made_ready(entries: Sequence[Entry], ids: Ids) -> Ready:
    """What does not depend on the database's answer."""
    legs = rows.legs_of(entries, ids.accounts)
    return Ready(entries, ids, rows.keys_of(entries), legs, movements_of(legs.keys, legs.amounts))


async def append(session: Session, batch: Ready, at_ms: int) -> list[Posted]:
    """Add entries that are not there yet, each fact once; gives what each was posted as, in order.

    The rows are made while the server moves the balances: all but their numbers.
    """
    at = time_of(at_ms)
    entries, ids, keys, legs, _ = batch
    numbers, halves = await meanwhile(
        _move(session, batch), lambda: rows.payment_halves(entries, keys, ids, at)
    )
    sequences = rows.customer_sequences(entries, numbers)
    facts = rows.idempotency_rows(keys, sequences, at)
    await session.copy("ledger", "idempotency", rows.IDEMPOTENCY, facts)
    await session.copy("ledger", "payment", rows.PAYMENT, rows.payment_rows(halves, sequences))
    if numbers:
        # All legs in one COPY: the statement trigger checks each entry over what it adds.
        postings = rows.posting_rows(entries, keys, legs, numbers)
        await session.copy("ledger", "posting", rows.POSTING, postings)
    return [Posted(sequence, at_ms) for sequence in sequences]


async def _move(session: Session, batch: Ready) -> list[int]:
    moved = batch.moved
    if not moved.keys:
        return []
    accounts, currencies, slots = (list(column) for column in zip(*moved.keys, strict=True))
    found = await session.fetch(_MOVE, accounts, currencies, slots, moved.amounts, moved.postings)
    sequence_after = {(row[0], row[1], row[2]): row[3] for row in found}
    return numbered(batch.legs.keys, moved, sequence_after)
