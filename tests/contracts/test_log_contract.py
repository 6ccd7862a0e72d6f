"""The contract of Log and of consumers of shared topics."""

import asyncio

import pytest
from tests.contracts.worlds import ALIVE_MS, LogWorld, WholeLog, a_record, numbers_of, records

from voltpay.core.errors import Broken, Unavailable
from voltpay.foundation.seams.log import Consumer, Delivery


async def a_prepared_log(world: LogWorld, *, instance: str = "one") -> WholeLog:
    log = world.log(instance=instance)
    await log.prepare()
    return log


async def take_all(consumer: Consumer, count: int, *, tries: int = 100) -> list[Delivery]:
    taken: list[Delivery] = []
    for _ in range(tries):
        if len(taken) >= count:
            break
        taken += await consumer.take(count, 100)
    return taken


async def test_what_was_appended_survives_the_death_of_the_server(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(50)))
    await world.kill()
    world.start()
    taken = await log.shared("high", "workers").take(100, 0)
    assert numbers_of(taken) == list(range(50))


async def test_a_thousand_and_more_records_are_appended_in_their_order(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(2_500)))
    taken = await take_all(log.shared("high", "workers"), 2_500)
    assert numbers_of(taken) == list(range(2_500))


async def test_a_take_before_prepare_is_refused_as_unavailable(world: LogWorld) -> None:
    with pytest.raises(Unavailable, match="migrate"):
        await world.log().shared("high", "workers").take(1, 0)


async def test_an_unknown_topic_is_broken(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    with pytest.raises(Broken, match="nowhere"):
        await log.append(records("nowhere", [1]))


async def test_a_topic_without_a_reader_is_not_written(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append([*records("unread", [1]), *records("high", [2])])
    assert (world.kept("unread"), world.kept("high")) == (0, 1)


async def test_a_delivery_tells_where_and_when_it_was_appended(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", [1, 2]))
    first, second = await log.shared("high", "workers").take(10, 0)
    assert (first.topic, first.partition) == ("high", second.partition)
    assert first.position < second.position
    assert 1_600_000_000_000 < first.appended_at_ms <= second.appended_at_ms


async def test_a_take_waits_for_an_append(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    waiting = asyncio.create_task(log.shared("high", "workers").take(10, 20_000))
    await asyncio.sleep(0.05)
    await log.append(records("high", [7]))
    assert numbers_of(await waiting) == [7]


async def test_a_take_of_nothing_ends_when_its_time_is_up(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    assert list(await log.shared("high", "workers").take(10, 30)) == []


async def test_members_of_a_group_share_the_work_and_groups_do_not(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("news", range(10)))
    one, two = log.shared("news", "left"), log.shared("news", "left")
    shared = [*numbers_of(await one.take(6, 0)), *numbers_of(await two.take(6, 0))]
    assert sorted(shared) == list(range(10))
    assert numbers_of(await log.shared("news", "right").take(20, 0)) == list(range(10))


async def test_finish_publishes_and_acknowledges(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(3)))
    consumer = log.shared("high", "workers")
    taken = await consumer.take(10, 0)
    assert await log.backlog("high", "workers") == 3
    await consumer.finish(taken[:2], records("low", [9]))
    assert await log.backlog("high", "workers") == 1
    assert numbers_of(await log.shared("low", "workers").take(10, 0)) == [9]


async def test_finishing_again_is_harmless(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(3)))
    consumer = log.shared("high", "workers")
    taken = await consumer.take(10, 0)
    await consumer.finish(taken, [])
    await consumer.finish(taken, [])
    assert await log.backlog("high", "workers") == 0


async def test_resume_delivers_again_what_was_not_finished(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(5)))
    consumer = log.shared("high", "workers")
    taken = await consumer.take(20, 0)
    await consumer.finish([taken[1], taken[3]], [])
    await consumer.resume()
    await log.append(records("high", [99]))
    assert numbers_of(await take_all(consumer, 4)) == [0, 2, 4, 99]
    assert list(await consumer.take(20, 0)) == []


async def test_what_comes_again_comes_before_what_waits_elsewhere(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(5)))
    consumer = log.shared("high", "workers")
    await consumer.take(20, 0)
    await consumer.resume()
    await log.append(records("high", [99]))
    # With no time to wait a take looks at all that the log has first.
    taken = [*await consumer.take(4, 0)]
    assert numbers_of(taken) == [0, 1, 2, 3]
    assert numbers_of(await take_all(consumer, 2)) == [4, 99]


async def test_a_cancelled_take_loses_nothing(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    consumer = log.shared("high", "workers")
    await consumer.take(1, 0)
    await log.append(records("high", range(3)))
    world.pause()
    taking = asyncio.create_task(consumer.take(10, 0))
    await asyncio.sleep(0.05)
    taking.cancel()
    await asyncio.wait([taking])
    world.go_on()
    assert numbers_of(await take_all(consumer, 3)) == [0, 1, 2]
    assert list(await consumer.take(10, 0)) == []


async def test_what_a_dead_consumer_held_goes_to_another(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(5)))
    dead = log.shared("high", "workers")
    taken = await dead.take(3, 0)
    await dead.finish(taken[:1], [])
    await world.vanish(dead)
    successor = world.log(instance="two").shared("high", "workers")
    assert sorted(numbers_of(await take_all(successor, 4))) == [1, 2, 3, 4]


async def test_a_slow_consumer_that_lives_is_not_robbed(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(3)))
    slow = log.shared("high", "workers")
    taken = await slow.take(3, 0)
    other = world.log(instance="two").shared("high", "workers")
    assert list(await other.take(10, 4 * ALIVE_MS)) == []
    await slow.finish(taken, [])
    assert await log.backlog("high", "workers") == 0


async def test_what_a_closed_consumer_held_goes_to_another(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", range(3)))
    consumer = log.shared("high", "workers")
    await consumer.take(3, 0)
    await consumer.close()
    successor = world.log(instance="two").shared("high", "workers")
    assert numbers_of(await take_all(successor, 3)) == [0, 1, 2]


async def test_failures_are_counted_across_restarts_until_finished(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", [1, 2]))
    consumer = log.shared("high", "workers")
    first, second = await consumer.take(10, 0)
    assert [await consumer.failed(first), await consumer.failed(first)] == [1, 2]
    assert await consumer.failed(second) == 1
    later = world.log(instance="two").shared("high", "workers")
    assert await later.failed(first) == 3
    await later.finish([first], [])
    assert [await later.failed(first), await later.failed(second)] == [1, 2]


async def test_a_log_that_is_away_says_so_and_recovers(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("high", [1]))
    consumer = log.shared("high", "workers")
    taken = await consumer.take(10, 0)
    await world.kill()
    with pytest.raises(Unavailable):
        await log.append(records("high", [2]))
    with pytest.raises(Unavailable):
        await consumer.finish(taken, [])
    with pytest.raises(Unavailable):
        await consumer.take(1, 0)
    world.start()
    await log.append(records("high", [3]))
    await consumer.finish(taken, [])
    assert numbers_of(await take_all(consumer, 1)) == [3]


async def test_a_waiting_take_notices_that_the_log_went_away(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    waiting = asyncio.create_task(log.shared("high", "workers").take(10, 60_000))
    await asyncio.sleep(0.05)
    await world.kill()
    with pytest.raises(Unavailable):
        await waiting


async def test_the_end_of_a_topic_is_its_last_record_even_when_trimmed(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    assert set((await log.ends("high")).values()) == {0}
    await log.append(records("high", [1, 2]))
    consumer = log.shared("high", "workers")
    taken = await consumer.take(10, 0)
    await consumer.finish(taken, [a_record("low")])
    await log.trim()
    ends = await log.ends("high")
    assert ends[taken[-1].partition] == taken[-1].position
    assert sum(end > 0 for end in ends.values()) == 1
