"""What a batch adds to the books, within a transaction: balances move, then rows are copied."""

import asyncio
from collections.abc import Sequence
from typing import Final

from voltpay.foundation.engines.postgres.pool import Session
from voltpay.services.ledger import rows
from voltpay.services.ledger.entries import Entry, Posted, movements_of, numbered, time_of
from voltpay.services.ledger.rows import Ids

_MOVE: Final = """
insert into ledger.balance (account_id, currency, slot, amount_minor, sequence)
select * from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::bigint[], $5::bigint[])
    on conflict (account_id, currency, slot) do update
   set amount_minor = balance.amount_minor + excluded.amount_minor,
       sequence = balance.sequence + excluded.sequence
returning account_id, currency, slot, sequence
"""


async def append(session: Session, entries: Sequence[Entry], ids: Ids, at_ms: int) -> list[Posted]:
    """Add entries that are not there yet, each fact once; gives what each was posted as, in order.

    The rows are made ready while the server moves the balances: all but their numbers.
    """
    at = time_of(at_ms)
    legs = rows.legs_of(entries, ids.accounts)
    moving = asyncio.ensure_future(_move(session, legs))
    try:
        await _until_sent()
        keys = rows.keys_of(entries)
        halves = rows.payment_halves(entries, keys, ids, at)
    finally:
        # In any case: nobody else may use the connection before its answer is there.
        numbers = await moving
    sequences = rows.customer_sequences(entries, numbers)
    facts = rows.idempotency_rows(keys, sequences, at)
    await session.copy("ledger", "idempotency", rows.IDEMPOTENCY, facts)
    await session.copy("ledger", "payment", rows.PAYMENT, rows.payment_rows(halves, sequences))
    if numbers:
        # All legs in one COPY: the statement trigger checks each entry over what it adds.
        postings = rows.posting_rows(entries, keys, legs, numbers)
        await session.copy("ledger", "posting", rows.POSTING, postings)
    return [Posted(sequence, at_ms) for sequence in sequences]


async def _until_sent() -> None:
    """A statement goes to the socket in the first turn of the loop, and out at its end."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _move(session: Session, legs: rows.Legs) -> list[int]:
    moved = movements_of(legs.keys, legs.amounts)
    if not moved.keys:
        return []
    accounts, currencies, slots = (list(column) for column in zip(*moved.keys, strict=True))
    found = await session.fetch(_MOVE, accounts, currencies, slots, moved.amounts, moved.postings)
    sequence_after = {(row[0], row[1], row[2]): row[3] for row in found}
    return numbered(legs.keys, moved, sequence_after)
