"""All SQL on the read model."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from voltpay.core.ids import PaymentId
from voltpay.core.messages import PaymentPosted
from voltpay.foundation.engines.postgres.pool import Readable, Row, Session
from voltpay.services.inquiry.cover import Span
from voltpay.services.inquiry.pages import Page
from voltpay.services.inquiry.rows import (
    Balance,
    Balances,
    Listed,
    PostedPayment,
    Total,
    Totals,
    code_of,
    moment_of,
    ms_of,
    number_of,
    values_of,
)

LOCK_CLASS: Final = 0x70726F6A
"""First key of the projection's advisory locks; the second is the partition."""

REBUILD_LOCK: Final = 0x52454255

_SELECTED: Final = """
payment_id as id, account, merchant, processor, currency, amount_minor, fee_minor, executed,
declined, attempt, reason, sequence, details,
(extract(epoch from accepted_at) * 1000)::bigint as accepted_at_ms,
(extract(epoch from requested_at) * 1000)::bigint as requested_at_ms,
(extract(epoch from settled_at) * 1000)::bigint as settled_at_ms,
(extract(epoch from posted_at) * 1000)::bigint as posted_at_ms
"""

_PROJECT: Final = """
with given as (
    select * from unnest($1::inquiry.fact[]) as fact
), fresh as (
    insert into inquiry.payment (
        payment_id, account, merchant, processor, currency, amount_minor, fee_minor, executed,
        declined, attempt, reason, sequence, accepted_at, requested_at, settled_at, posted_at,
        details
    )
    select payment_id, account, merchant, processor, currency, amount_minor, fee_minor, executed,
           declined, attempt, reason, sequence,
           timestamptz 'epoch' + accepted_ms * interval '1 millisecond',
           timestamptz 'epoch' + requested_ms * interval '1 millisecond',
           timestamptz 'epoch' + settled_ms * interval '1 millisecond',
           timestamptz 'epoch' + posted_ms * interval '1 millisecond',
           details
      from given
     where given.epoch >= (select installation.epoch from reference.installation)
     order by payment_id
    on conflict (payment_id) do nothing
    returning payment_id
), counted as (
    select given.* from given join fresh using (payment_id)
), balances as (
    insert into inquiry.balance as mine
           (account, currency, slot, amount_minor, version, facts, posted_at)
    select account, currency, account_slot,
           coalesce(-sum(amount_minor) filter (where executed), 0), max(sequence), count(*),
           timestamptz 'epoch' + max(posted_ms) * interval '1 millisecond'
      from counted group by account, currency, account_slot
     order by account, currency, account_slot
    on conflict (account, currency, slot) do update
       set amount_minor = mine.amount_minor + excluded.amount_minor,
           version = greatest(mine.version, excluded.version),
           facts = mine.facts + excluded.facts,
           posted_at = greatest(mine.posted_at, excluded.posted_at)
), seconds as (
    select currency, requested_ms - requested_ms % 1000 as second_ms, processor, slot,
           count(*) as count, sum(amount_minor) as amount_minor
      from counted where executed group by currency, second_ms, processor, slot
), buckets as (
    insert into inquiry.bucket as mine (tier, currency, at, processor, slot, count, amount_minor)
    select tier, currency,
           timestamptz 'epoch'
             + (second_ms - second_ms % width_ms) * interval '1 millisecond' as at,
           processor, slot, sum(count), sum(amount_minor)
      from seconds
     cross join (values (1, 1000), (2, 60000), (3, 3600000), (4, 86400000)) as tiers(tier, width_ms)
     group by tier, currency, at, processor, slot
     order by tier, currency, at, processor, slot
    on conflict (tier, currency, at, processor, slot) do update
       set count = mine.count + excluded.count,
           amount_minor = mine.amount_minor + excluded.amount_minor
), moved as (
    insert into inquiry.progress as mine (partition, position)
    select * from unnest($2::smallint[], $3::bigint[]) as passed(partition, position)
     order by partition
    on conflict (partition) do update set position = excluded.position
     where mine.position < excluded.position
)
select count(*) from fresh
"""
_PROJECT_NEXT: Final = _PROJECT.replace("inquiry.", "inquiry_next.").replace(
    "inquiry_next.fact[]", "inquiry.fact[]"
)

# Every span is a range of an index; those of tier 0 are of payments, the others of buckets.
_TOTALS: Final = """
with span as (
    select tier, timestamptz 'epoch' + since_ms * interval '1 millisecond' as since,
           timestamptz 'epoch' + until_ms * interval '1 millisecond' as until
      from unnest($2::smallint[], $3::bigint[], $4::bigint[]) as given (tier, since_ms, until_ms)
)
select processor, sum(count)::bigint as count, sum(amount_minor)::bigint as amount_minor,
       null::smallint as partition, null::bigint as position
  from span
 cross join lateral (
    select processor, count(*) as count, sum(amount_minor) as amount_minor
      from inquiry.payment
     where span.tier = 0 and executed and currency = $1
       and requested_at >= span.since and requested_at < span.until
     group by processor
     union all
    select processor, sum(count), sum(amount_minor)
      from inquiry.bucket
     where bucket.tier = span.tier and currency = $1 and at >= span.since and at < span.until
     group by processor
 ) as part
 group by processor
 union all
select null, null, null, partition, position from inquiry.progress
"""


async def project(session: Session, facts: Sequence[PaymentPosted]) -> int:
    """Insert what is new, count it, move progress on: one statement, so one transaction.

    Gives how many payments were new. Facts older than the installation's epoch only move progress.
    """
    return cast("int", await session.fetch_value(_PROJECT, *values_of(facts)))


async def project_next(session: Session, facts: Sequence[PaymentPosted]) -> int:
    """The same into the tables of a rebuild."""
    return cast("int", await session.fetch_value(_PROJECT_NEXT, *values_of(facts)))


async def versions(session: Session, accounts: Sequence[str]) -> Mapping[str, int]:
    """The version of each account's answers: it grows with every payment of the account."""
    rows = await session.fetch(
        "select account, sum(facts)::bigint as version from inquiry.balance "
        "where account = any($1::text[]) group by account",
        accounts,
    )
    return {row["account"]: row["version"] for row in rows}


async def purge(session: Session, passed: Mapping[int, int]) -> None:
    """Empty the read model; progress stands at `passed` at least: what is before is dropped."""
    await session.execute("truncate inquiry.payment, inquiry.balance, inquiry.bucket")
    await session.execute(
        "insert into inquiry.progress as mine (partition, position) "
        "select * from unnest($1::smallint[], $2::bigint[]) on conflict (partition) do update "
        "set position = greatest(mine.position, excluded.position)",
        list(passed.keys()),
        list(passed.values()),
    )


async def begin_rebuild(session: Session) -> int | None:
    """Make empty tables beside the read model; gives the epoch, None if another one rebuilds."""
    if not await session.fetch_value("select pg_try_advisory_lock($1::bigint)", REBUILD_LOCK):
        return None
    await session.execute(
        "set lock_timeout = '2s'; set idle_in_transaction_session_timeout = '5min'"
    )
    await session.execute("select inquiry.begin_rebuild()")
    return cast("int", await session.fetch_value("select epoch from reference.installation"))


async def pause_projection(session: Session) -> int:
    """Within a transaction: no projection writes until it ends. Gives the epoch."""
    await session.execute(
        "lock table inquiry.payment, inquiry.balance, inquiry.bucket in share row exclusive mode"
    )
    return cast("int", await session.fetch_value("select epoch from reference.installation"))


async def swap(session: Session) -> None:
    """Within the same transaction: put the new tables in the place of the old."""
    await session.execute("select inquiry.finish_rebuild()")


class Reader:
    """The questions asked of the read model, each in one statement, on a replica."""

    def __init__(self, database: Readable) -> None:
        self._database = database

    async def payment(self, payment_id: PaymentId) -> PostedPayment | None:
        """The row of a payment."""
        rows = await self.payments([payment_id])
        return rows[0] if rows else None

    async def payments(self, ids: Sequence[PaymentId]) -> Sequence[PostedPayment]:
        """The rows of those that are there."""
        rows = await self._database.fetch(
            f"select {_SELECTED} from inquiry.payment where payment_id = any($1::uuid[])",  # noqa: S608
            list(ids),
        )
        return [_posted_of(row) for row in rows]

    async def count(self) -> int:
        """How many payments the read model has."""
        return cast(
            "int",
            await self._database.fetch_value(
                "select coalesce(sum(facts), 0)::bigint from inquiry.balance"
            ),
        )

    async def balances(self, account: str) -> Balances | None:
        """An account's balances; None while nothing of it was posted."""
        rows = await self._database.fetch(
            "select currency, sum(amount_minor)::bigint as amount_minor, "
            "sum(version)::bigint as version, sum(facts)::bigint as facts, "
            "max(posted_at) as posted_at "
            "from inquiry.balance where account = $1 group by currency order by currency",
            account,
        )
        if not rows:
            return None
        found = [
            Balance(code_of(row["currency"]), row["amount_minor"], row["version"]) for row in rows
        ]
        return Balances(
            facts=sum(row["facts"] for row in rows),
            posted_at_ms=max(ms_of(row["posted_at"]) for row in rows),
            balances=tuple(sorted(found, key=lambda balance: balance.currency)),
        )

    async def transactions(self, account: str, page: Page, count_max: int) -> Listed | None:
        """The newest rows that the page selects; None while nothing of the account was posted."""
        where, values = _clauses_of(page)
        rows = await self._database.fetch(
            f"select known.facts, row.* from (select sum(facts)::bigint as facts "  # noqa: S608
            f"from inquiry.balance where account = $1) as known left join lateral ("
            f"select {_SELECTED} from inquiry.payment where account = $1{where} "
            f"order by requested_at desc, payment_id desc limit $2) as row on true "
            f"order by row.requested_at_ms desc, row.id desc",
            account,
            count_max,
            *values,
        )
        facts = rows[0]["facts"]
        if facts is None:
            return None
        return Listed(facts, tuple(_posted_of(row) for row in rows if row["id"]))

    async def totals(self, currency: str, spans: Sequence[Span]) -> Totals:
        """Executed payments of one currency in the spans, in one snapshot with the progress."""
        rows = await self._database.fetch(
            _TOTALS,
            number_of(currency),
            [span.tier for span in spans],
            [span.since_ms for span in spans],
            [span.until_ms for span in spans],
        )
        return Totals(
            {r["processor"]: Total(r["count"], r["amount_minor"]) for r in rows if r["processor"]},
            {r["partition"]: r["position"] for r in rows if r["partition"] is not None},
        )

    async def progress(self) -> Mapping[int, int]:
        """Position of the last settled record of each partition that the read model has."""
        rows = await self._database.fetch("select partition, position from inquiry.progress")
        return {row["partition"]: row["position"] for row in rows}


def _clauses_of(page: Page) -> tuple[str, list[object]]:
    """Only the clauses that are asked for: so each keeps to the index."""
    values: list[object] = [moment_of(page.window.since_ms), moment_of(page.window.until_ms)]
    where = " and requested_at >= $3 and requested_at <= $4"
    if page.after is not None:
        where += " and (requested_at, payment_id) < ($5, $6)"
        values += [moment_of(page.after.requested_at_ms), page.after.id]
    if page.currency is not None:
        values.append(number_of(page.currency))
        where += f" and currency = ${len(values) + 2}"
    if page.executed is not None:
        where += " and executed" if page.executed else " and not executed"
    return where, values


def _posted_of(row: Row) -> PostedPayment:
    values = {name: row[name] for name in PostedPayment.__struct_fields__}
    return PostedPayment(**values | {"currency": code_of(row["currency"])})
