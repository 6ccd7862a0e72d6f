"""The fence: one writer a partition, and none that writes after it was deposed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.ledger.books import Books, opened, settled, taken

from voltpay.core.errors import Unavailable
from voltpay.foundation.engines.postgres.fence import FenceLost
from voltpay.services.ledger.entries import entry_of

TERMINATE = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
 where datname = current_database() and application_name = 'test:writer'
"""


@pytest.fixture
async def rival(database_url: str, books: Books) -> AsyncIterator[Books]:
    """A second writer on the same books."""
    async with opened(database_url) as made:
        yield made


async def owned(books: Books, *partitions: int) -> frozenset[int]:
    """What a writer gets, trying as long as the loop would."""
    wanted = frozenset(partitions)
    for _ in range(100):
        got = await books.stage.own(partitions)
        if got >= wanted:
            return got
        await asyncio.sleep(0.05)
    raise TimeoutError


async def test_a_partition_has_one_owner(books: Books, rival: Books) -> None:
    assert await books.stage.own([1, 2]) == {1, 2}
    assert await rival.stage.own([2, 3]) == {3}
    assert await books.stage.own([1, 2, 3]) == {1, 2}


async def test_owning_twice_and_giving_back_once_frees_a_partition(
    books: Books, rival: Books
) -> None:
    await books.stage.own([1, 2])
    await books.stage.own([1, 2])
    await books.stage.release([1])
    assert await rival.stage.own([1, 2]) == {1}
    await books.stage.release([2])
    assert await rival.stage.own([1, 2]) == {1, 2}


async def test_nothing_is_written_without_owning_every_partition_of_the_batch(
    books: Books,
) -> None:
    with pytest.raises(FenceLost):
        await books.stage(taken([settled()], partition=1))
    await books.stage.own([1])
    batch = [*taken([settled()], partition=1), *taken([settled()], partition=2)]
    with pytest.raises(FenceLost):
        await books.stage(batch)
    assert await books.count("payment") == 0
    assert len(await books.stage(batch[:1])) == 1


async def test_two_writers_post_side_by_side_on_shared_accounts(books: Books, rival: Books) -> None:
    async def run(writer: Books, account: str, partition: int) -> None:
        for _ in range(10):
            await writer.post([settled(account, 10, fee_minor=1) for _ in range(20)], partition)

    await asyncio.gather(run(books, "alice", 1), run(rival, "bob", 2))
    balances = await books.balances()
    assert balances["clearing:default"] == 4000
    assert balances["merchant:shop"] == -400
    slots = await books.rows("select slot, sequence from ledger.balance where slot > 0 order by 1")
    assert [tuple(row) for row in slots] == [(1, 200)] * 3 + [(2, 200)] * 3


async def test_a_deposed_writer_cannot_commit(books: Books, rival: Books) -> None:
    entry = entry_of(settled("alice"), 1)
    await owned(books, 1)
    blocker = await books.database.dedicated()
    try:
        async with blocker.transaction():
            # The first writer's batch is under way, idempotency written, waiting for this lock.
            await blocker.execute("lock table ledger.payment in share mode")
            batch = asyncio.create_task(books.store.post([entry]))
            await asyncio.sleep(0.2)
            assert not batch.done()
            await blocker.fetch(TERMINATE)
            await owned(rival, 1)
        with pytest.raises(Unavailable):
            await batch
    finally:
        await blocker.close()
    assert [await books.count(t) for t in ("idempotency", "payment", "posting", "balance")] == [
        0
    ] * 4
    (posted,) = await rival.post([settled("alice")], partition=1)
    assert posted.sequence == 1
    with pytest.raises(FenceLost):
        await books.store.post([entry])
    assert await books.stage.own([1]) == frozenset()


async def test_a_lost_connection_is_noticed_by_the_batch_and_mended_by_owning_again(
    books: Books,
) -> None:
    await books.post([settled("alice")])
    await books.rows(TERMINATE)
    with pytest.raises(Unavailable):
        await books.stage(taken([settled("alice")]))
    with pytest.raises(FenceLost):
        await books.stage(taken([settled("alice")]))
    await owned(books, 3)
    assert [p.sequence for p in await books.post([settled("alice")])] == [2]


async def test_a_lost_connection_is_noticed_by_owning(books: Books, rival: Books) -> None:
    await books.stage.own([1])
    await books.rows(TERMINATE)
    await owned(rival, 1)
    with pytest.raises(Unavailable):
        await books.stage.own([1])
    assert await books.stage.own([1]) == frozenset()


async def test_giving_back_over_a_lost_connection_succeeds(books: Books) -> None:
    await books.stage.own([1, 2])
    await books.rows(TERMINATE)
    await books.stage.release([1])
    await books.stage.release([1, 2])
    assert await owned(books, 1, 2) == {1, 2}


async def test_a_cancelled_batch_leaves_nothing_and_gives_up_its_locks(
    books: Books, rival: Books
) -> None:
    await books.stage.own([3])
    async with rival.database.transaction() as session:
        await session.execute("lock table ledger.payment in share mode")
        batch = asyncio.create_task(books.post([settled()]))
        await asyncio.sleep(0.1)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
    assert await books.count("payment") == 0
    assert await owned(rival, 3) == {3}


async def test_the_writer_waits_for_the_disk(books: Books) -> None:
    await books.database.execute(
        "do $$ begin execute format('alter database %I set synchronous_commit = off',"
        " current_database()); end $$"
    )
    await books.stage.own([1])
    async with books.store._fence.writing([1]) as session:
        assert await session.fetch_value("show synchronous_commit") == "on"
