"""The window loop on a real log: room, workers, the low-priority lane, trouble, stopping."""

import asyncio
import time

import pytest
from prometheus_client import REGISTRY
from tests.runtime.tiny import (
    NAMES,
    Desk,
    number_of,
    opened,
    promise,
    put_off,
    running,
    until,
    until_left,
    window_loop,
)

from voltpay.core.codec import decode
from voltpay.core.errors import Broken, Unavailable


@pytest.fixture
async def log(log_url):
    async with opened(log_url) as made:
        yield made


async def drained(log, topic=NAMES.accepted):
    await until_left(log, topic, "routing")


def workers(name):
    """The gauge."""
    return REGISTRY.get_sample_value("voltpay_dispatch_workers", {"stage": name})


async def test_no_more_is_held_than_the_stage_has_room_for(log):
    await log.write(promise(n) for n in range(60))
    desk = Desk(7)
    async with running(window_loop(desk, log)):
        await until(lambda: len(desk.started) == 7)
        await asyncio.sleep(0.05)
        assert len(desk.started) == 7
        assert REGISTRY.get_sample_value("voltpay_dispatch_held", {"stage": "desk"}) == 7
        desk.gate.set()
        await drained(log)
    assert max(high for high, _ in desk.at_once) == 7
    assert sorted(desk.done) == list(range(60))


async def test_who_waits_for_its_publication_keeps_nobody_from_the_start(log, monkeypatch):
    await log.write(promise(n) for n in range(40))
    confirmed, shared = asyncio.Event(), log.shared

    def slow_to_confirm(topic, group):
        consumer = shared(topic, group)
        finish = consumer.finish

        async def finish_later(deliveries, records):
            await confirmed.wait()
            await finish(deliveries, records)

        monkeypatch.setattr(consumer, "finish", finish_later)
        return consumer

    monkeypatch.setattr(log, "shared", slow_to_confirm)
    desk = Desk(5)
    desk.gate.set()
    async with running(window_loop(desk, log)):
        await until(lambda: len(desk.done) == 40)
        confirmed.set()
        await drained(log)
    assert sorted(desk.done) == list(range(40))


async def test_each_message_is_acknowledged_when_its_own_is_done(log):
    await log.write(promise(n) for n in range(10))
    held = asyncio.Event()

    class Uneven(Desk):
        async def __call__(self, one):
            if number_of(one.message) == 0:
                await held.wait()
            return await super().__call__(one)

    desk = Uneven(100)
    desk.gate.set()
    async with running(window_loop(desk, log)):
        await until(lambda: len(desk.done) == 9)
        await until_left(log, NAMES.accepted, "routing", 1)
        held.set()
        await drained(log)


async def test_workers_go_from_four_to_six_and_back_with_the_backlog(log):
    await log.write(promise(n) for n in range(300))
    desk = Desk(20)
    loop = window_loop(desk, log, "crew", backlog_high=50, backlog_low=5, calm_turns=2)
    async with running(loop):
        assert workers("crew") in {None, 4}
        await until(lambda: workers("crew") == 6)
        await asyncio.sleep(0.1)
        assert workers("crew") == 6
        desk.gate.set()
        await drained(log)
        await until(lambda: workers("crew") == 4)
        await log.write(promise(n) for n in range(300, 400))
        await drained(log)
    assert sorted(desk.done) == list(range(400))


async def test_a_worker_stays_until_it_has_been_calm_for_a_while(log):
    await log.write(promise(n) for n in range(300))
    desk = Desk(20)
    loop = window_loop(desk, log, "calm", backlog_high=50, backlog_low=5, calm_turns=10_000)
    async with running(loop):
        await until(lambda: workers("calm") == 6)
        desk.gate.set()
        await drained(log)
        await asyncio.sleep(0.1)
        assert workers("calm") == 6


async def test_under_load_the_low_priority_lane_gets_its_tenth_and_no_more(log):
    await log.write(put_off(n) for n in range(1_000, 1_200))
    await log.write(promise(n) for n in range(600))
    desk = Desk(40)
    desk.takes_s = 0.004
    desk.gate.set()
    async with running(window_loop(desk, log)):
        await until(lambda: len(desk.started) >= 500)
    begun = desk.started[100:500]
    low = sum(number >= 1_000 for number in begun)
    assert 20 <= low <= 60
    assert max(low for _, low in desk.at_once[100:500]) <= 4


async def test_without_anything_urgent_the_low_priority_lane_gets_the_room(log):
    await log.write(put_off(n) for n in range(60))
    desk = Desk(40)
    async with running(window_loop(desk, log)):
        await until(lambda: len(desk.started) >= 34)
        await log.write([promise(999)])
        await until(lambda: 999 in desk.started)
        desk.gate.set()
        await drained(log, NAMES.deferred)


async def test_what_is_deferred_waits_its_delay(log):
    begun = []

    class Timed(Desk):
        async def __call__(self, one):
            begun.append(time.time_ns() // 1_000_000 - one.appended_at_ms)
            return await super().__call__(one)

    desk = Timed(40)
    desk.gate.set()
    await log.write(put_off(n) for n in range(3))
    async with running(window_loop(desk, log, delay_ms=300)):
        await until(lambda: len(desk.done) == 3)
    assert min(begun) >= 300


async def test_wake_lets_go_at_once_what_was_deferred_before_it_and_nothing_after(log):
    desk = Desk(40)
    desk.gate.set()
    await log.write([put_off(1), put_off(2)])
    loop = window_loop(desk, log, delay_ms=3_600_000)
    async with running(loop):
        await until(lambda: loop.is_ready)
        await asyncio.sleep(0.05)
        assert desk.started == []
        loop.wake()
        await until(lambda: desk.done == [1, 2])
        await asyncio.sleep(0.01)
        await log.write([put_off(3)])
        await asyncio.sleep(0.1)
        assert desk.done == [1, 2]


async def test_stop_waits_for_what_is_under_way_and_takes_nothing_more(log):
    await log.write(promise(n) for n in range(4))
    desk = Desk(4)
    loop = window_loop(desk, log)
    async with running(loop) as stop:
        await until(lambda: len(desk.started) == 4)
        await log.write(promise(n) for n in range(4, 8))
        stop.set()
        await asyncio.sleep(0.1)
        assert not loop.is_ready
        assert await log.backlog(NAMES.accepted, "routing") == 8
        desk.gate.set()
    assert sorted(desk.done) == [0, 1, 2, 3]
    assert await log.backlog(NAMES.accepted, "routing") == 4


async def test_a_message_that_meets_unavailable_is_kept_and_nothing_more_is_taken(log):
    await log.write([promise(0)])
    desk = Desk(40)
    desk.gate.set()
    is_away = True

    def fails(number):
        if number == 0 and is_away:
            raise Unavailable("the database is away")

    desk.fails = fails
    loop = window_loop(desk, log)
    async with running(loop):
        await until(lambda: desk.started.count(0) >= 3)
        assert not loop.is_ready
        await asyncio.sleep(0.25)
        await log.write(promise(n) for n in range(1, 5))
        await log.write([put_off(100)])
        tries = desk.started.count(0)
        await until(lambda: desk.started.count(0) >= tries + 2)
        assert set(desk.started) == {0}
        is_away = False
        await drained(log)
        await drained(log, NAMES.deferred)
        await until(lambda: loop.is_ready)
    assert sorted(desk.done) == [0, 1, 2, 3, 4, 100]
    assert await log.dead() == []


async def test_stop_leaves_a_message_that_meets_unavailable_to_the_next(log, log_url):
    await log.write([promise(0)])
    desk = Desk(40)
    desk.gate.set()

    def fails(number):
        raise Unavailable("the database is away")

    desk.fails = fails
    async with running(window_loop(desk, log)):
        await until(lambda: desk.started.count(0) >= 2)
    assert await log.backlog(NAMES.accepted, "routing") == 1
    async with opened(log_url, "two") as again:
        healed = Desk(40)
        healed.gate.set()
        async with running(window_loop(healed, again)):
            await drained(again)
        assert healed.done == [0]


async def test_a_broken_message_is_buried_after_three_failures_and_the_others_go_on(log):
    await log.write(promise(n) for n in range(20))
    desk = Desk(40)
    desk.gate.set()

    def fails(number):
        if number == 7:
            raise Broken("poison")

    desk.fails = fails
    async with running(window_loop(desk, log)):
        await drained(log)
    assert sorted(desk.done) == [n for n in range(20) if n != 7]
    assert desk.started.count(7) == 3
    (letter,) = await log.dead()
    assert number_of(decode(letter.body)) == 7
    assert letter.failures == 3


async def test_an_error_that_nobody_foresaw_ends_the_loop_and_is_buried_at_the_third_start(log):
    await log.write([promise(7)])

    def fails(number):
        raise KeyError("poison")

    for _ in range(2):
        desk = Desk(40)
        desk.gate.set()
        desk.fails = fails
        with pytest.raises(BaseExceptionGroup) as raised:
            await window_loop(desk, log).run(asyncio.Event())
        assert raised.group_contains(KeyError)
        assert await log.dead() == []
    desk = Desk(40)
    desk.gate.set()
    desk.fails = fails
    async with running(window_loop(desk, log)):
        await drained(log)
    assert len(await log.dead()) == 1


async def test_a_log_that_is_away_pauses_the_loop_and_loses_nothing(log, log_url):
    desk = Desk(40)
    desk.gate.set()
    loop = window_loop(desk, log)
    take = type(log.shared(NAMES.dead, "dead")).take
    is_away = True
    shared = log.shared

    def flaky(topics, group):
        consumer = shared(topics, group)

        async def take_or_fail(count, wait_ms):
            if is_away:
                raise Unavailable("the log is away")
            return await take(consumer, count, wait_ms)

        consumer.take = take_or_fail
        return consumer

    log.shared = flaky
    await log.write(promise(n) for n in range(5))
    async with running(loop):
        await asyncio.sleep(0.1)
        assert not loop.is_ready
        is_away = False
        await drained(log)
        await until(lambda: loop.is_ready)
    assert sorted(desk.done) == [0, 1, 2, 3, 4]
