"""The contract of LogAdmin, and of the log at its memory bound."""

import pytest
from tests.contracts.worlds import LogWorld, WholeLog, a_claim, a_record, numbers_of, records

from voltpay.core.errors import Unavailable
from voltpay.foundation.seams.intake import StaleEpoch


async def a_prepared_log(world: LogWorld) -> WholeLog:
    log = world.log()
    await log.prepare()
    return log


async def test_preparing_again_changes_nothing(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append([*records("high", range(3)), *records("facts", range(3), key="a")])
    shared, ordered = log.shared("high", "workers"), log.ordered("facts", "books")
    await shared.finish((await shared.take(2, 0)), [])
    await ordered.finish((await ordered.take(2, 0)), [])
    await log.prepare()
    assert await log.backlog("high", "workers") == 1
    assert await log.backlog("facts", "books") == 1
    assert numbers_of(await shared.take(10, 0)) == [2]
    assert numbers_of(await ordered.take(10, 0)) == [2]


async def test_trim_drops_what_every_group_has_finished(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append([*records("high", range(500)), *records("facts", range(500), key="a")])
    for consumer in (
        log.shared("high", "workers"),
        log.ordered("facts", "books"),
        log.ordered("facts", "views"),
    ):
        await consumer.finish(await consumer.take(500, 0), [])
    assert await log.trim() == 1_000
    assert (world.kept("high"), world.kept("facts")) == (0, 0)
    assert await log.trim() == 0
    await log.append(records("high", [7]))
    assert numbers_of(await log.shared("high", "workers").take(10, 0)) == [7]
    assert await log.backlog("high", "workers") == 1


async def test_trim_keeps_what_one_group_has_not_taken(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append([*records("news", range(300)), *records("facts", range(300), key="a")])
    left, books = log.shared("news", "left"), log.ordered("facts", "books")
    await left.finish(await left.take(300, 0), [])
    await books.finish(await books.take(300, 0), [])
    assert await log.trim() == 0
    views = log.ordered("facts", "views")
    await views.finish(await views.take(200, 0), [])
    right = log.shared("news", "right")
    await right.finish(await right.take(200, 0), [])
    assert await log.trim() == 400
    assert numbers_of(await right.take(300, 0)) == list(range(200, 300))
    assert numbers_of(await views.take(300, 0)) == list(range(200, 300))


async def test_trim_keeps_what_is_taken_and_not_finished(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append([*records("high", range(300)), *records("facts", range(300), key="a")])
    shared, books = log.shared("high", "workers"), log.ordered("facts", "books")
    taken = await shared.take(300, 0)
    await shared.finish([*taken[:50], *taken[51:]], [])
    views = log.ordered("facts", "views")
    await views.finish(await views.take(300, 0), [])
    facts = await books.take(300, 0)
    await books.finish([*facts[:50], *facts[51:]], [])
    assert await log.trim() == 100
    await shared.resume()
    await books.resume()
    assert numbers_of(await shared.take(300, 0)) == [50]
    assert numbers_of(await books.take(300, 0)) == list(range(50, 300))


async def test_a_shared_group_set_back_takes_everything_that_is_kept(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    await log.append(records("news", range(10)))
    left, right = log.shared("news", "left"), log.shared("news", "right")
    await left.finish(await left.take(10, 0), [])
    await right.finish(await right.take(4, 0), [])
    await right.take(2, 0)
    await log.trim()
    await log.reset("news", "left")
    assert await log.backlog("news", "left") == 6
    assert numbers_of(await left.take(20, 0)) == list(range(4, 10))
    assert await log.backlog("news", "right") == 6
    await log.reset("news", "right")
    assert await log.backlog("news", "right") == 6
    assert numbers_of(await right.take(20, 0)) == list(range(4, 10))


async def test_an_ordered_group_set_back_has_an_exact_backlog_after_a_trim(
    world: LogWorld,
) -> None:
    log = await a_prepared_log(world)
    await log.append(records("facts", range(10), key="a"))
    books, views = log.ordered("facts", "books"), log.ordered("facts", "views")
    await books.finish(await books.take(10, 0), [])
    await views.finish(await views.take(4, 0), [])
    await log.trim()
    await log.reset("facts", "books")
    assert await log.backlog("facts", "books") == 6
    await books.finish(await books.take(3, 0), [])
    assert await log.backlog("facts", "books") == 3


async def test_at_the_memory_bound_finish_works_and_accept_is_refused(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    intake = world.intake()
    await log.append([*records("high", range(3)), *records("facts", range(3), key="a")])
    shared, ordered = log.shared("high", "workers"), log.ordered("facts", "books")
    assert not await intake.is_full()
    world.fill()
    claim = a_claim()
    with pytest.raises(Unavailable, match=r"full|memory"):
        await intake.accept([claim], 0)
    taken, facts = await shared.take(10, 0), await ordered.take(10, 0)
    assert await shared.failed(taken[0]) == 1
    await shared.finish(taken, records("low", range(3)))
    await ordered.finish(facts, records("low", range(3)))
    await log.append(records("low", [1]))
    await log.prepare()
    assert await log.backlog("high", "workers") == 0
    assert await log.backlog("facts", "books") == 0
    assert await log.backlog("low", "workers") == 7
    assert await intake.find([claim.id]) == [None]
    assert await world.intake().is_full()


async def test_a_claim_lives_for_good_until_a_record_closes_it(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    open_one, closed = a_claim(), a_claim()
    await world.intake().accept([open_one, closed], 0)
    consumer = log.shared("high", "workers")
    taken = await consumer.take(10, 0)
    await consumer.finish(taken[:1], [a_record("facts", 1, key="a")])
    assert world.life_of_claim_s(open_one.id) is None
    assert world.life_of_claim_s(closed.id) is None
    await consumer.finish(taken[1:], [a_record("facts", 1, key="a", closes=str(closed.id))])
    assert world.life_of_claim_s(open_one.id) is None
    life_s = world.life_of_claim_s(closed.id)
    assert life_s is not None
    assert 900 < life_s <= 1_000


async def test_an_appended_record_closes_its_claim_too(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    claim = a_claim()
    await world.intake().accept([claim], 0)
    await log.append([a_record("unread", 1, closes=str(claim.id))])
    assert world.life_of_claim_s(claim.id) is not None


async def test_a_purge_leaves_nothing_and_accepts_only_its_own_epoch(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    intake = world.intake()
    claim = a_claim()
    await intake.accept([claim], 0)
    await log.append([*records("high", range(20)), *records("facts", range(20), key="a")])
    shared, ordered = log.shared("high", "workers"), log.ordered("facts", "books")
    held, facts = await shared.take(5, 0), await ordered.take(5, 0)
    await log.purge(3)
    assert await intake.epoch() == 3
    assert await intake.find([claim.id]) == [None]
    assert (world.kept("high"), world.kept("facts")) == (0, 0)
    backlogs = [await log.backlog("high", "workers"), await log.backlog("facts", "books")]
    assert backlogs == [0, 0]
    with pytest.raises(StaleEpoch):
        await intake.accept([claim], 0)
    await shared.finish(held, [])
    await ordered.finish(facts[:2], [])
    assert list(await intake.accept([claim], 3)) == [None]
    await log.append(records("facts", [7], key="a"))
    assert [one.body for one in await shared.take(10, 0)] == [claim.record.body]
    assert await log.backlog("facts", "books") == 1
    facts = await ordered.take(10, 0)
    assert numbers_of(facts) == [7]
    await ordered.finish(facts, [])
    assert await log.backlog("facts", "books") == 0


async def bodies_of(log: WholeLog, topic: str, group: str) -> list[bytes]:
    return [body async for page in log.unfinished(topic, group) for body in page]


async def test_what_a_group_has_not_finished_is_read_beside_it(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    made = {
        "high": records("high", range(1_200)),
        "facts": [record for key in "abcd" for record in records("facts", range(300), key=key)],
    }
    for topic, group in (("high", "workers"), ("facts", "books")):
        assert await bodies_of(log, topic, group) == []
        await log.append(made[topic])
        bodies = [record.body for record in made[topic]]
        assert sorted(await bodies_of(log, topic, group)) == sorted(bodies)
    shared, ordered = log.shared("high", "workers"), log.ordered("facts", "books")
    first, second = await shared.take(2, 0)
    await shared.finish([first], [])
    taken = await ordered.take(40, 0)
    await ordered.finish(taken, [])
    left = await bodies_of(log, "high", "workers")
    assert second.body in left
    assert len(left) == 1_199
    assert len(await bodies_of(log, "facts", "books")) == 1_200 - len(taken)
    assert len(await bodies_of(log, "facts", "views")) == 1_200
    assert await log.backlog("high", "workers") == 1_199
    assert numbers_of(await shared.take(3, 0)) == [2, 3, 4]
