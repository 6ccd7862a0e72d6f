"""The contract of consumers of ordered topics."""

import asyncio
from collections import Counter

import pytest
from tests.contracts.worlds import LogWorld, WholeLog, a_record, numbers_of, records

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.seams.log import Consumer, Delivery, Record


async def a_prepared_log(world: LogWorld, *, instance: str = "one") -> WholeLog:
    log = world.log(instance=instance)
    await log.prepare()
    return log


def facts(count: int, *, keys: int = 1) -> list[Record]:
    return [a_record("facts", number, key=f"account-{number % keys}") for number in range(count)]


async def take_all(consumer: Consumer, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    for _ in range(100):
        if len(taken) >= count:
            break
        taken += await consumer.take(count, 100)
    return taken


async def test_a_key_stays_in_its_partition_and_keeps_its_order(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(200, keys=10))
    taken = await take_all(log.ordered("facts", "books"), 200)
    partitions: dict[int, set[int]] = {}
    for key in range(10):
        of_key = [one for one in taken if int(one.body) % 10 == key]
        assert numbers_of(of_key) == list(range(key, 200, 10))
        partitions.setdefault(key, {one.partition for one in of_key})
    assert all(len(found) == 1 for found in partitions.values())
    assert len(set.union(*partitions.values())) > 1


async def test_all_partitions_are_owned(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    alone = log.ordered("facts", "books")
    await alone.take(1, 0)
    assert alone.owned == {0, 1, 2, 3}
    assert log.shared("high", "workers").owned == frozenset()


async def test_records_without_a_key_are_spread(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("facts", range(8)))
    taken = await log.ordered("facts", "books").take(20, 0)
    assert {one.partition for one in taken} == {0, 1, 2, 3}


async def test_busy_partitions_share_a_take(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(2_000, keys=20))
    taken = await log.ordered("facts", "books").take(40, 0)
    partitions = [one.partition for one in taken]
    assert [partitions.count(number) for number in range(4)] == [10, 10, 10, 10]


async def test_what_an_idle_partition_leaves_goes_to_a_busy_one(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(500))
    await log.append([a_record("facts", 1_000 + number) for number in range(4)])
    taken = await log.ordered("facts", "books").take(100, 0)
    assert len(taken) == 100
    assert {one.partition for one in taken} == {0, 1, 2, 3}


async def test_a_lone_busy_partition_fills_the_whole_take(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(500))
    assert numbers_of(await log.ordered("facts", "books").take(100, 0)) == list(range(100))


async def test_groups_read_independently(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(3))
    books, views = log.ordered("facts", "books"), log.ordered("facts", "views")
    await books.finish(await books.take(10, 0), [])
    assert numbers_of(await views.take(10, 0)) == [0, 1, 2]
    assert await log.backlog("facts", "books") == 0
    assert await log.backlog("facts", "views") == 3


async def test_the_lag_is_told_by_partition(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append([a_record("facts", 1_000 + number) for number in range(4)])
    await log.append(facts(5))
    consumer = log.ordered("facts", "books")
    taken = await consumer.take(100, 0)
    waiting = Counter(one.partition for one in taken)
    assert await log.lag("facts", "books") == waiting
    assert sorted(waiting.values()) == [1, 1, 1, 6]
    busiest = max(waiting, key=waiting.__getitem__)
    await consumer.finish([one for one in taken if one.partition == busiest], [])
    assert await log.lag("facts", "books") == dict(waiting) | {busiest: 0}
    assert await log.lag("facts", "views") == waiting


async def test_a_take_waits_for_an_append(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    waiting = asyncio.create_task(log.ordered("facts", "books").take(10, 20_000))
    await asyncio.sleep(0.05)
    await log.append(facts(1))
    assert numbers_of(await waiting) == [0]


async def test_a_successor_goes_on_after_what_was_finished(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(5))
    first = log.ordered("facts", "books")
    await first.finish((await first.take(10, 0))[:2], [])
    await first.close()
    successor = world.log(instance="two").ordered("facts", "books")
    assert numbers_of(await successor.take(10, 0)) == [2, 3, 4]


async def test_resume_delivers_again_from_the_cursor_in_order(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(5))
    consumer = log.ordered("facts", "books")
    taken = await consumer.take(10, 0)
    await consumer.finish(taken[:1], [])
    assert list(await consumer.take(10, 0)) == []
    await consumer.resume()
    assert numbers_of(await consumer.take(10, 0)) == [1, 2, 3, 4]


async def test_only_what_is_contiguous_is_committed(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(5))
    consumer = log.ordered("facts", "books")
    taken = await consumer.take(10, 0)
    partition = taken[0].partition

    async def committed() -> int:
        return (await log.positions("facts", "books"))[partition]

    await consumer.finish([taken[1], taken[3]], [])
    assert (await committed(), await log.backlog("facts", "books")) == (0, 5)
    await consumer.finish([taken[0]], [])
    assert (await committed(), await log.backlog("facts", "books")) == (taken[1].position, 3)
    await consumer.finish([taken[2], taken[4]], [])
    assert (await committed(), await log.backlog("facts", "books")) == (taken[4].position, 0)


async def test_finishing_at_the_same_time_commits_all(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(60, keys=7))
    consumer = log.ordered("facts", "books")
    taken = await take_all(consumer, 60)
    await asyncio.gather(*(consumer.finish([one], []) for one in reversed(taken)))
    assert await log.backlog("facts", "books") == 0
    assert await log.positions("facts", "books") == await log.ends("facts")


async def test_positions_and_ends_of_an_empty_topic_are_zero(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    nothing = {0: 0, 1: 0, 2: 0, 3: 0}
    assert await log.positions("facts", "books") == nothing
    assert await log.ends("facts") == nothing


async def test_finishing_again_is_harmless(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(3))
    consumer = log.ordered("facts", "books")
    taken = await consumer.take(10, 0)
    await consumer.finish(taken, records("high", [1]))
    await consumer.finish(taken, records("high", [1]))
    assert await log.backlog("facts", "books") == 0
    assert await log.backlog("high", "workers") == 2


async def test_a_group_that_was_set_back_reads_everything_again(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(5))
    consumer = log.ordered("facts", "books")
    await consumer.finish(await consumer.take(10, 0), [])
    await log.reset("facts", "books")
    assert await log.backlog("facts", "books") == 5
    assert numbers_of(await consumer.take(10, 0)) == [0, 1, 2, 3, 4]


async def test_a_finish_does_not_undo_that_the_group_was_set_back(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(6))
    consumer = log.ordered("facts", "books")
    taken = await consumer.take(10, 0)
    await consumer.finish(taken[:2], [])
    await log.reset("facts", "books")
    await consumer.finish(taken[2:], records("high", [1]))
    assert await log.backlog("facts", "books") == 6
    assert numbers_of(await consumer.take(10, 0)) == [0, 1, 2, 3, 4, 5]


async def test_failures_are_counted_by_partition_until_finished(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(2))
    consumer = log.ordered("facts", "books")
    first, second = await consumer.take(10, 0)
    assert [await consumer.failed(first), await consumer.failed(first)] == [1, 2]
    await consumer.finish([first], [])
    later = world.log(instance="two").ordered("facts", "books")
    assert [await later.failed(first), await later.failed(second)] == [1, 1]


async def test_another_number_of_partitions_is_refused_before_it_is_drained(
    world: LogWorld,
) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(3))
    other = world.log(partitions=2)
    with pytest.raises(Misconfigured, match="4 partitions"):
        await other.prepare()
    with pytest.raises(Misconfigured, match="4 partitions"):
        await other.append(facts(1))
    await log.append(facts(1))


async def test_a_drained_log_takes_more_partitions(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(30, keys=9))
    for group in ("books", "views"):
        consumer = log.ordered("facts", group)
        await consumer.finish(await take_all(consumer, 30), [])
        await consumer.close()
    other = world.log(partitions=7)
    await other.prepare()
    await other.append(facts(30, keys=9))
    taken = await take_all(other.ordered("facts", "books"), 30)
    assert sorted(numbers_of(taken)) == list(range(30))
    assert {one.partition for one in taken} <= set(range(7))
    with pytest.raises(Misconfigured):
        await log.append(facts(1))


async def test_an_ordered_append_before_prepare_is_refused_as_unavailable(
    world: LogWorld,
) -> None:
    with pytest.raises(Unavailable, match="migrate"):
        await world.log().append(facts(1))


async def test_an_ordered_consumer_recovers_when_the_log_is_back(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(facts(4))
    consumer = log.ordered("facts", "books")
    taken = await consumer.take(10, 0)
    await consumer.finish(taken[:1], [])
    await world.kill()
    with pytest.raises(Unavailable):
        await consumer.take(10, 0)
    with pytest.raises(Unavailable):
        await consumer.finish(taken[1:], records("high", [1]))
    world.start()
    await consumer.finish(taken[1:2], [])
    await consumer.resume()
    assert numbers_of(await take_all(consumer, 2)) == [2, 3]
    assert await log.backlog("high", "workers") == 0
