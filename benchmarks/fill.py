"""Fill a migrated database with posted payments of ten days, as the ledger and projection would.

    echo URL | python benchmarks/fill.py --count 10000000

Its tables keep their indexes, triggers and settings: indexes are dropped for the filling and made
anew as they were. Postings are two a payment. No client data, and no fact to replay.
"""

import argparse
import asyncio
import sys

import asyncpg

DAYS = 10
ACCOUNTS = 100_000

INDEXES = """
select indexdef, indexname from pg_indexes
 where schemaname = 'inquiry' and tablename = 'payment' and indexname <> 'payment_pkey'"""
NAMES = f"""
insert into reference.account (name)
select 'customer:account-' || n from generate_series(0, {ACCOUNTS - 1}) n on conflict do nothing;
insert into reference.account (name) values ('clearing:default'), ('clearing:fallback')
    on conflict do nothing;
insert into reference.merchant (name) values ('default') on conflict do nothing;
insert into reference.processor (name) values ('default'), ('fallback') on conflict do nothing;
"""
GIVEN = f"""
create unlogged table bench_given as
select gen_random_uuid() as id, n % {ACCOUNTS} as account, n % 5 = 0 as is_fallback,
       100 + n % 9000 as amount, $1::timestamptz + n * ($2::interval / $3::bigint) as at,
       (n % 4)::smallint as partition
  from generate_series(0, $3::bigint - 1) n"""
READ_MODEL = """
insert into inquiry.payment
       (payment_id, account, merchant, processor, currency, amount_minor, fee_minor, executed,
        declined, attempt, reason, sequence, accepted_at, requested_at, settled_at, posted_at)
select id, 'account-' || account, 'default',
       case when is_fallback then 'fallback' else 'default' end,
       978, amount, 5, true, '', 1, 'cheapest', 1, at, at, at, at
  from bench_given"""
SECONDS = """
insert into inquiry.bucket (tier, currency, at, processor, slot, count, amount_minor)
select 1, currency, date_trunc('second', requested_at), processor, 0, count(*), sum(amount_minor)
  from inquiry.payment group by 2, 3, 4"""
COARSER = """
insert into inquiry.bucket (tier, currency, at, processor, slot, count, amount_minor)
select $1, currency, date_trunc($2, at), processor, 0, sum(count), sum(amount_minor)
  from inquiry.bucket where tier = 1 group by 2, 3, 4"""
BALANCES = """
insert into inquiry.balance (account, currency, slot, amount_minor, version, facts, posted_at)
select account, currency, 0, -sum(amount_minor), count(*), count(*), max(posted_at)
  from inquiry.payment group by 1, 2"""
BOOKS = """
insert into ledger.payment
       (payment_id, day, account_id, merchant_id, processor_id, currency, amount_minor, fee_minor,
        executed, sequence, requested_at, posted_at, partition, settled)
select g.id, (g.at at time zone 'UTC')::date, a.id, 1, 1, 978, g.amount, 0, true, 1, g.at, g.at,
       g.partition, '\\x'
  from bench_given g join reference.account a on a.name = 'customer:account-' || g.account"""
POSTINGS = """
insert into ledger.posting
       (payment_id, kind, day, account_id, slot, currency, sequence, amount_minor)
select p.payment_id, 1, p.day, side.account_id, 0, 978, 1, side.amount
  from ledger.payment p
 cross join lateral (values (p.account_id, -p.amount_minor), (1, p.amount_minor))
    as side (account_id, amount)"""
KNOWN = """
insert into ledger.idempotency (payment_id, kind, day, sequence, posted_at)
select payment_id, 1, day, 1, posted_at from ledger.payment order by payment_id"""


async def fill(url, count):
    """All of it, step by step."""
    database = await asyncpg.connect(url, timeout=10)
    start = await database.fetchval(
        "select (date_trunc('day', now() at time zone 'UTC') at time zone 'UTC')"
        f" - interval '{DAYS - 1} days'"
    )
    await database.execute("set work_mem = '256MB'; set maintenance_work_mem = '512MB'")
    for back in range(DAYS):
        await database.execute(f"select ledger.prepare_day(current_date - {back})")
    await database.execute(NAMES)
    span = await database.fetchval("select now() - $1::timestamptz", start)
    await database.execute(GIVEN, start, span, count)
    await fill_read_model(database)
    await fill_books(database)
    await database.execute("drop table bench_given")
    await database.execute("vacuum (analyze)")
    await database.close()


async def fill_read_model(database):
    """Payments, buckets and balances."""
    indexes = await database.fetch(INDEXES)
    for index in indexes:
        await database.execute(f"drop index inquiry.{index['indexname']}")
    await database.execute("alter table inquiry.payment drop constraint payment_pkey")
    await database.execute(READ_MODEL)
    await database.execute("alter table inquiry.payment add primary key (payment_id)")
    for index in indexes:
        await database.execute(index["indexdef"])
    await database.execute(SECONDS)
    for tier, width in ((2, "minute"), (3, "hour"), (4, "day")):
        await database.execute(COARSER, tier, width)
    await database.execute(BALANCES)


async def fill_books(database):
    """Payments, postings and what is known of repeats."""
    days = await database.fetch(
        "select inhrelid::regclass::text as name from pg_inherits"
        " where inhparent = 'ledger.posting'::regclass"
    )
    await database.execute(BOOKS)
    for day in days:
        await database.execute(f"alter table {day['name']} disable trigger balanced")
    await database.execute("alter table ledger.posting disable trigger balanced")
    await database.execute(POSTINGS)
    for day in days:
        await database.execute(f"alter table {day['name']} enable trigger balanced")
    await database.execute("alter table ledger.posting enable trigger balanced")
    await database.execute(KNOWN)


def main():
    """The command."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--count", type=int, required=True)
    given = asked.parse_args()
    asyncio.run(fill(sys.stdin.readline().strip(), given.count))


if __name__ == "__main__":
    main()
