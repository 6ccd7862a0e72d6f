"""The SQL of the ledger: what is known, reading days back, partitions, cleaning, purging.

What a batch adds is in `append`.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Final, NamedTuple

from msgspec import Struct

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.foundation.engines.postgres.fence import Fence
from voltpay.foundation.engines.postgres.meanwhile import meanwhile
from voltpay.foundation.engines.postgres.names import NameTable
from voltpay.foundation.engines.postgres.pool import Postgres, Row, Session
from voltpay.foundation.runtime.failpoints import reach
from voltpay.services.ledger.append import Ready, append, made_ready
from voltpay.services.ledger.entries import (
    Entry,
    FactKey,
    Posted,
    ms_of,
    refuse_unbalanced,
)
from voltpay.services.ledger.rows import Ids

# "Between" beside "any": a plan that is made once for all parameters passes the partitions of other
# days by for bounds, but not for an array.
#
# A purge truncates idempotency before anything else of the ledger: it waits for a batch that has
# read this, and a batch that comes later waits for it and then sees the epoch that it raised.
_KNOWN: Final = """
select here.epoch, r.cleaned_through, now() as at, i.payment_id, i.day, i.sequence, i.posted_at
  from reference.installation here cross join ledger.retention r
  left join ledger.idempotency i
    on i.payment_id = any($1::uuid[]) and i.kind = 1 and i.day = any($2::date[])
   and i.day between $3 and $4
"""
_KNOWN_TO_READERS: Final = """
select r.cleaned_through, i.payment_id, i.day
  from ledger.retention r left join ledger.idempotency i
    on i.payment_id = any($1::uuid[]) and i.kind = 1 and i.day = any($2::date[])
   and i.day between $3 and $4
"""
_OF_DAYS: Final = """
select payment_id, day, sequence, posted_at from ledger.payment
 where payment_id = any($1::uuid[]) and day = any($2::date[]) and day between $3 and $4
"""
_SPANS: Final = """
select day, count(*) as count, min(posted_at) as first, max(posted_at) as last
  from ledger.payment group by day order by day
"""
_ESTIMATE: Final = """
select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = 'ledger.payment'::regclass
"""
_WINDOW: Final = """
select settled, sequence, posted_at, partition from ledger.payment
 where day = any($1::date[]) and day between $2 and $3 and posted_at >= $4 and posted_at < $5
 order by posted_at, partition, sequence
"""
_PURGE: Final = """
update ledger.retention set cleaned_through = default;
truncate ledger.idempotency, ledger.balance, ledger.payment, ledger.posting;
truncate reference.account, reference.merchant, reference.processor;
"""

LOCK_CLASS: Final = 0x6C656467
"""First key of the ledger's advisory locks; the second is the partition."""


class NamesPurged(Unavailable):
    """A sandbox was purged between making the ids of names and reading them."""

    title = "The installation is being purged"


class Span(Struct, frozen=True):
    """How many payments a day holds, and when the first and the last of them were posted."""

    day: date
    count: int
    first: datetime
    last: datetime


class _Known(NamedTuple):
    epoch: int
    cleaned_through: date
    at_ms: int
    posted: Mapping[FactKey, Posted]


class _Names:
    """Ids of the names in entries, remembered until a purge."""

    def __init__(self) -> None:
        self._accounts = NameTable("reference.account")
        self._merchants = NameTable("reference.merchant", remembered_max=50_000)
        self._processors = NameTable("reference.processor", remembered_max=1_000)

    async def of(self, session: Session, entries: Sequence[Entry]) -> Ids:
        accounts = {leg[0] for entry in entries for leg in entry.legs}
        accounts.update(entry.customer for entry in entries)
        merchants = {entry.settled.payment.merchant_id for entry in entries}
        processors = {entry.settled.attempt.processor for entry in entries}
        try:
            return Ids(
                await self._accounts.ids_of(session, accounts),
                await self._merchants.ids_of(session, merchants),
                await self._processors.ids_of(session, processors),
            )
        except KeyError as error:
            raise NamesPurged(f"name {error} was purged while its id was made") from error

    def forget(self) -> None:
        for table in (self._accounts, self._merchants, self._processors):
            table.forget()


class PostgresLedger:
    """The books in PostgreSQL. `writer` gives the fenced connection, `reader` everything else."""

    def __init__(self, writer: Postgres, reader: Postgres) -> None:
        self._fence = Fence(writer, LOCK_CLASS)
        self._reader = reader
        self._names = _Names()
        self._epoch = -1

    async def own(self, partitions: Iterable[int]) -> frozenset[int]:
        """Take these partitions for writing; gives those that it got."""
        return await self._fence.own(partitions)

    async def release(self, partitions: Iterable[int]) -> None:
        """Give them back."""
        await self._fence.release(partitions)

    async def post(self, entries: Sequence[Entry]) -> Sequence[Posted | None]:
        """Post what is not posted yet, in order, in one transaction; see `post.LedgerStore`."""
        refuse_unbalanced(entries)
        days_read: set[date] = set()
        old: dict[FactKey, Posted] = {}
        async with self._fence.writing({entry.partition for entry in entries}) as session:
            while True:
                live = [e for e in entries if e.settled.payment.epoch >= self._epoch]
                if not live:
                    return [None] * len(entries)
                ids = await self._names.of(session, live)
                async with session.transaction():
                    known, batch = await meanwhile(
                        _known(session, live), partial(made_ready, live, ids)
                    )
                    unread = _unknown_days(live, known) - days_read
                    if known.epoch == self._epoch and not unread:
                        posted = await _append_absent(session, entries, batch, known, old)
                        reach("post.before_commit")
                        return posted
                if known.epoch != self._epoch:
                    self._names.forget()
                    self._epoch = known.epoch
                else:
                    old |= await self._posted_on(live, unread)
                    days_read |= unread

    async def _posted_on(self, entries: Sequence[Entry], days: set[date]) -> dict[FactKey, Posted]:
        # Outside the transaction, which may not idle for as long as a whole day takes to read.
        ids = [entry.key[0] for entry in entries if entry.key[1] in days]
        return _posted_by_key(await self._reader.fetch(_OF_DAYS, ids, *_days_of(days)))

    async def known_of(self, keys: Sequence[FactKey]) -> set[FactKey]:
        """Which of these facts are posted; reads whole days only of those that were cleaned."""
        found = await self._reader.fetch(_KNOWN_TO_READERS, *_ids_and_days(keys))
        known = {(row["payment_id"], row["day"]) for row in found}
        cleaned_through: date = found[0]["cleaned_through"]
        old = [key for key in keys if key not in known and key[1] <= cleaned_through]
        if old:
            found = await self._reader.fetch(_OF_DAYS, *_ids_and_days(old))
            known.update((row["payment_id"], row["day"]) for row in found)
        return known & set(keys)

    async def spans(self) -> Sequence[Span]:
        """What each day holds. Reads everything."""
        found = await self._reader.fetch(_SPANS)
        return [Span(row["day"], row["count"], row["first"], row["last"]) for row in found]

    async def estimate(self) -> int:
        """About how many payments are posted, as the catalogue has it: instant, and a bit late."""
        total = await self._reader.fetch_value(_ESTIMATE)
        return total if isinstance(total, int) else 0

    async def payments_of(
        self, days: Sequence[date], start: datetime, end: datetime
    ) -> AsyncIterator[Row]:
        """`settled, sequence, posted_at, partition` of what was posted in [start, end)."""
        async with self._reader.session() as session:
            async for row in session.rows_of(_WINDOW, *_days_of(days), start, end):
                yield row

    async def prepare_day(self, day: date) -> bool:
        """Make a day's partitions; False if a default partition already holds that day."""
        return bool(await self._reader.fetch_value("select ledger.prepare_day($1)", day))

    async def clean(self, through: date) -> int:
        """Forget what was posted for days up to `through`; gives the partitions dropped."""
        dropped = await self._reader.fetch_value("select ledger.clean($1)", through)
        return dropped if isinstance(dropped, int) else 0

    async def purge(self, session: Session) -> None:
        """Empty the books and the reference names within the caller's transaction.

        The caller raises the epoch in the same transaction.
        """
        await session.execute(_PURGE)

    async def close(self) -> None:
        """Give back all partitions and connections."""
        await self._fence.close()
        await self._reader.close()


async def _known(session: Session, entries: Sequence[Entry]) -> _Known:
    found = await session.fetch(_KNOWN, *_ids_and_days([entry.key for entry in entries]))
    first = found[0]
    posted = _posted_by_key(found) if first["payment_id"] is not None else {}
    return _Known(first["epoch"], first["cleaned_through"], ms_of(first["at"]), posted)


def _ids_and_days(keys: Sequence[FactKey]) -> tuple[list[PaymentId], list[date], date, date]:
    return [key[0] for key in keys], *_days_of({key[1] for key in keys})


def _days_of(days: Iterable[date]) -> tuple[list[date], date, date]:
    """The days, the first and the last of them. Not none."""
    found = sorted(days)
    return found, found[0], found[-1]


def _posted_by_key(found: Sequence[Row]) -> dict[FactKey, Posted]:
    return {
        (row["payment_id"], row["day"]): Posted(row["sequence"], ms_of(row["posted_at"]))
        for row in found
    }


def _unknown_days(entries: Sequence[Entry], known: _Known) -> set[date]:
    return {
        entry.key[1]
        for entry in entries
        if entry.key[1] <= known.cleaned_through and entry.key not in known.posted
    }


async def _append_absent(
    session: Session,
    entries: Sequence[Entry],
    batch: Ready,
    known: _Known,
    old: Mapping[FactKey, Posted],
) -> Sequence[Posted | None]:
    posted = {**known.posted, **old}
    live = batch.entries
    if not posted and len({entry.key for entry in live}) == len(entries):
        # Nearly always; to look ids up is to hash each of them.
        return await append(session, batch, known.at_ms)
    fresh: dict[FactKey, Entry] = {}
    for entry in live:
        if entry.key not in posted:
            fresh.setdefault(entry.key, entry)
    if fresh:
        few = made_ready(list(fresh.values()), batch.ids)
        made = await append(session, few, known.at_ms)
        posted |= zip(fresh, made, strict=True)
    return [
        posted[entry.key] if entry.settled.payment.epoch >= known.epoch else None
        for entry in entries
    ]
