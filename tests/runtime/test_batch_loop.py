"""The batch loop on a real log: order, poison, pauses, crashes, stopping."""

import asyncio

import pytest
from tests.runtime.tiny import (
    NAMES,
    Books,
    batch_loop,
    fact,
    killed,
    number_of,
    opened,
    running,
    until,
    until_left,
)

from voltpay.core.codec import decode
from voltpay.core.errors import Broken, Misconfigured, Unavailable

POISON = 5


@pytest.fixture
async def log(log_url):
    async with opened(log_url) as made:
        yield made


def poisoned(error=Broken):
    """Fails every batch that holds the poisoned message."""

    def fails(numbers):
        if POISON in numbers:
            raise error("poison")

    return fails


async def drained(log):
    await until_left(log, NAMES.settled, "ledger")


async def test_a_batch_is_handled_in_order_published_and_finished(log):
    await log.write(fact(n) for n in range(1, 8))
    books = Books()
    async with running(batch_loop(books, log, count_max=3)):
        await drained(log)
    assert books.kept == [1, 2, 3, 4, 5, 6, 7]
    assert max(map(len, books.seen)) <= 3
    assert await log.posted() == [1, 2, 3, 4, 5, 6, 7]


async def test_a_poisoned_message_is_halved_out_and_buried_and_the_order_of_the_rest_is_kept(log):
    await log.write(fact(n) for n in range(1, 10))
    books = Books(poisoned())
    async with running(batch_loop(books, log)):
        await drained(log)
    assert books.kept == [1, 2, 3, 4, 6, 7, 8, 9]
    assert books.seen.count([POISON]) == 3
    assert await log.posted() == [1, 2, 3, 4, 6, 7, 8, 9]
    (letter,) = await log.dead()
    assert number_of(decode(letter.body)) == POISON
    assert (letter.stage, letter.topic, letter.key) == ("tiny", NAMES.settled, "alice")
    assert letter.payment_id == str(fact(POISON).payment.id)
    assert (letter.failures, letter.error) == (3, "Broken: poison")


async def test_a_message_that_is_mended_in_time_is_handled_in_its_place(log):
    await log.write(fact(n) for n in range(1, 10))

    def fails(numbers):
        if POISON in numbers and books.seen.count([POISON]) < 3:
            raise Broken("not yet")

    books = Books(fails)
    async with running(batch_loop(books, log)):
        await drained(log)
    assert books.kept == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert await log.dead() == []


async def test_batches_that_take_too_long_get_smaller_until_they_do_not(log):
    """A statement that exceeds its time looks like a database that is away."""
    await log.write(fact(n) for n in range(1, 31))

    def fails(numbers):
        if len(numbers) > 5:
            raise Unavailable("timeout")

    books = Books(fails)
    async with running(batch_loop(books, log, count_max=30)):
        await drained(log)
    assert books.kept == list(range(1, 31))
    assert await log.dead() == []
    assert max(map(len, books.seen)) == 30


async def test_bytes_that_are_no_message_are_buried_without_an_id(log):
    await log.write([fact(1)])
    (record,) = batch_loop(Books(), log)._publish([fact(2)])
    await log.append([type(record)(record.topic, "alice", record.message, b"\xc1 no message")])
    await log.write([fact(3)])
    books = Books()
    async with running(batch_loop(books, log)):
        await drained(log)
    assert books.kept == [1, 3]
    (letter,) = await log.dead()
    assert (letter.payment_id, letter.body) == ("", b"\xc1 no message")


async def test_failures_are_counted_across_a_restart(log, log_url):
    await log.write(fact(n) for n in range(1, 10))
    second_try = asyncio.Event()

    class Stuck(Books):
        async def __call__(self, batch):
            if self.seen.count([POISON]) == 1 and len(batch) == 1:
                second_try.set()
                await asyncio.sleep(3_600)
            return await super().__call__(batch)

    first = asyncio.create_task(batch_loop(Stuck(poisoned()), log).run(asyncio.Event()))
    await asyncio.wait_for(second_try.wait(), 10)
    await killed(first)
    async with opened(log_url, "two") as again:
        books = Books(poisoned())
        async with running(batch_loop(books, again)):
            await drained(again)
        assert books.seen.count([POISON]) == 2
        assert books.kept == [6, 7, 8, 9]
        (letter,) = await again.dead()
        assert letter.failures == 3


async def test_an_error_that_nobody_foresaw_ends_the_loop_and_is_buried_at_the_third_start(log):
    await log.write(fact(n) for n in range(1, 10))
    kept = []
    for _ in range(2):
        books = Books(poisoned(KeyError))
        with pytest.raises(KeyError):
            await batch_loop(books, log).run(asyncio.Event())
        kept += books.kept
        assert await log.dead() == []
    books = Books(poisoned(KeyError))
    async with running(batch_loop(books, log)):
        await drained(log)
    assert kept + books.kept == [1, 2, 3, 4, 6, 7, 8, 9]
    (letter,) = await log.dead()
    assert (letter.failures, letter.error) == (3, "KeyError: 'poison'")


async def test_misconfiguration_ends_the_loop_and_is_nobody_s_failure(log):
    await log.write([fact(1)])

    def fails(numbers):
        raise Misconfigured("wrong", "mend it")

    for _ in range(4):
        with pytest.raises(Misconfigured):
            await batch_loop(Books(fails), log).run(asyncio.Event())
    assert await log.dead() == []


async def test_unavailable_pauses_and_redelivers_in_order_and_never_counts(log):
    await log.write(fact(n) for n in range(1, 6))
    ready = []

    def fails(numbers):
        ready.append(loop.is_ready)
        if len(books.seen) <= 6:
            raise Unavailable("the database is away")

    books = Books(fails)
    loop = batch_loop(books, log)
    async with running(loop):
        await until(lambda: len(books.seen) >= 3)
        await until(lambda: not loop.is_ready)
        await drained(log)
        await until(lambda: loop.is_ready)
    assert books.kept == [1, 2, 3, 4, 5]
    assert books.asked_to_own == 7
    assert await log.dead() == []


async def test_unavailable_in_the_middle_of_halving_repeats_what_was_not_finished(log):
    await log.write(fact(n) for n in range(1, 9))
    is_away = [True]

    def fails(numbers):
        poisoned()(numbers)
        if 7 in numbers and len(numbers) <= 2 and is_away:
            is_away.clear()
            raise Unavailable("gone")

    books = Books(fails)
    async with running(batch_loop(books, log)):
        await drained(log)
    assert books.kept == [1, 2, 3, 4, 6, 7, 8]
    assert len(await log.dead()) == 1


async def test_a_crash_after_the_effect_repeats_the_batch_and_publishes_the_same_facts(log):
    await log.write(fact(n) for n in range(1, 4))
    consumer = log.ordered(NAMES.settled, "ledger")
    reached = asyncio.Event()

    async def never(deliveries, records):
        reached.set()
        await asyncio.sleep(3_600)

    consumer.finish = never
    before, after = Books(), Books()
    task = asyncio.create_task(batch_loop(before, log, consumer=consumer).run(asyncio.Event()))
    await asyncio.wait_for(reached.wait(), 10)
    await killed(task)
    assert await log.posted() == []
    async with running(batch_loop(after, log)):
        await drained(log)
    assert before.kept == after.kept == [1, 2, 3]
    assert await log.posted() == [1, 2, 3]


async def test_nothing_is_taken_before_every_partition_is_owned(log):
    await log.write([fact(1)])
    books = Books()
    books.gives = frozenset({0})
    loop = batch_loop(books, log)
    async with running(loop):
        await until(lambda: books.asked_to_own == 3)
        assert books.seen == []
        assert not loop.is_ready
        books.gives = frozenset({0, 1})
        await drained(log)
    assert books.kept == [1]


async def test_stop_finishes_the_batch_under_way_and_gives_the_partitions_back(log):
    await log.write([fact(1), fact(2)])
    reached, gate = asyncio.Event(), asyncio.Event()

    class Slow(Books):
        async def __call__(self, batch):
            reached.set()
            await gate.wait()
            return await super().__call__(batch)

    books = Slow()
    async with running(batch_loop(books, log)) as stop:
        await asyncio.wait_for(reached.wait(), 10)
        await log.write([fact(3)])
        stop.set()
        await asyncio.sleep(0.05)
        assert books.released == []
        gate.set()
    assert books.kept == [1, 2]
    assert sorted(books.released) == [0, 1]
    assert await log.backlog(NAMES.settled, "ledger") == 1
