"""Keeping days: partitions ahead, cleaning by age, and repeats of what was cleaned."""

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from tests.ledger.books import DAY, NOON_MS, Books, settled

from voltpay.services.ledger.retention import Retention
from voltpay.services.ledger.settings import LedgerSettings

A_DAY_MS = 86_400_000
PARTITIONS = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = ('ledger.' || $1)::regclass and c.relname !~ 'rest$' order by 1
"""


@dataclass
class FixedClock:
    """A clock that stands still."""

    at_ms: int

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms


def retention(books: Books, *, days_later: int = 0) -> Retention:
    clock = FixedClock(NOON_MS + days_later * A_DAY_MS)
    return Retention(books.store, clock, LedgerSettings())


async def partitions(books: Books, table: str) -> list[str]:
    return [row["relname"] for row in await books.rows(PARTITIONS, table)]


async def test_partitions_stand_from_yesterday_to_three_days_ahead(books: Books) -> None:
    for _ in range(2):
        await retention(books).prepare_days()
    for table in ("idempotency", "payment", "posting"):
        days = [name.removeprefix(f"{table}_") for name in await partitions(books, table)]
        assert days == ["20261119", "20261120", "20261121", "20261122", "20261123"]


async def test_a_day_that_the_default_partition_caught_stays_there(books: Books) -> None:
    tomorrow = settled(requested_at_ms=NOON_MS + A_DAY_MS)
    await books.post([tomorrow])
    assert await books.store.prepare_day(DAY + timedelta(days=1)) is False
    await retention(books).prepare_days()
    assert "payment_20261121" not in await partitions(books, "payment")
    assert "payment_20261122" in await partitions(books, "payment")
    assert [p.sequence for p in await books.post([tomorrow, settled()])] == [1, 2]


async def test_making_a_day_waits_for_no_reader_or_writer_of_another(books: Books) -> None:
    async with books.database.transaction() as session:
        await session.fetch("select count(*) from ledger.payment_20261120")
        await session.execute(
            "lock table only ledger.payment, only ledger.posting in row exclusive mode"
        )
        made = books.store.prepare_day(DAY + timedelta(days=2))
        assert await asyncio.wait_for(made, 30) is True


async def test_cleaning_forgets_what_is_older_than_a_week_and_notes_it(books: Books) -> None:
    await books.store.prepare_day(DAY + timedelta(days=1))
    strays = [settled(requested_at_ms=NOON_MS + days * A_DAY_MS) for days in (-30, 30)]
    await books.post([settled(), *strays])
    await retention(books, days_later=7).clean()
    assert await partitions(books, "idempotency") == [
        "idempotency_20261120",
        "idempotency_20261121",
    ]
    await retention(books, days_later=8).clean()
    assert await partitions(books, "idempotency") == ["idempotency_20261121"]
    assert await books.count("idempotency") == 1
    assert await books.count("payment") == 3
    assert await cleaned_through(books) == DAY


async def test_cleaning_with_a_clock_set_back_never_forgets_that_it_cleaned(books: Books) -> None:
    await retention(books, days_later=20).clean()
    await retention(books).clean()
    assert await cleaned_through(books) == date(2026, 12, 2)


@pytest.mark.parametrize("is_owned_anew", [False, True])
async def test_a_replay_after_the_cleaning_posts_nothing_twice(
    books: Books, is_owned_anew: bool
) -> None:
    facts = [settled("alice"), settled("bob", executed=False), settled("alice")]
    first = await books.post(facts)
    await retention(books, days_later=30).clean()
    if is_owned_anew:
        await books.stage.release([3])
    late = settled("alice")
    new = settled("alice", requested_at_ms=NOON_MS + 30 * A_DAY_MS)
    published = await books.post([*facts, late, new, facts[0], late])
    assert [p.sequence for p in published] == [1, 0, 2, 3, 4, 1, 3]
    assert [p.posted_at_ms for p in published[:3]] == [p.posted_at_ms for p in first]
    assert await books.count("payment") == 5
    again = await books.post([*facts, late])
    assert [p.sequence for p in again] == [1, 0, 2, 3]
    assert await books.count("payment") == 5


async def test_a_replay_finds_what_was_posted_after_its_day_was_cleaned(books: Books) -> None:
    await retention(books, days_later=30).clean()
    fact = settled("alice")
    await books.post([fact])
    await retention(books, days_later=30).clean()
    assert await books.count("idempotency") == 0
    assert [p.sequence for p in await books.post([fact, settled("alice")])] == [1, 2]


async def test_cleaning_while_a_batch_is_under_way_loses_no_knowledge(books: Books) -> None:
    facts = [settled("alice") for _ in range(20)]

    async def post_again_and_again() -> None:
        for _ in range(20):
            assert [p.sequence for p in await books.post(facts)] == list(range(1, 21))

    async def clean_as_time_goes_by() -> None:
        for days in range(20):
            await retention(books, days_later=days).clean()

    await books.post(facts)
    await asyncio.gather(post_again_and_again(), clean_as_time_goes_by())
    assert await books.count("payment") == 20


async def test_a_purge_empties_the_books_the_names_and_the_memory_of_cleaning(
    books: Books,
) -> None:
    await books.post([settled()])
    await retention(books, days_later=30).clean()
    async with books.database.transaction() as session:
        await books.store.purge(session)
    tables = ("idempotency", "payment", "posting", "balance")
    assert [await books.count(table) for table in tables] == [0] * 4
    assert await books.value("select count(*) from reference.account") == 0
    assert await cleaned_through(books) == date(2000, 1, 1)


async def cleaned_through(books: Books) -> object:
    return await books.value("select cleaned_through from ledger.retention")
