"""Slots: bounded, in order, and none is lost to a race of its coming free and the time being up."""

import asyncio
import time

import pytest

from voltpay.processors.slots import Slots


async def test_whoever_waits_longest_gets_the_slot_that_comes_free() -> None:
    slots, order = Slots(1), list[int]()
    assert await slots.take(100) == 100

    async def wait(number: int) -> None:
        assert 0 < await slots.take(1_000) <= 1_000
        order.append(number)
        slots.give_back()

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0.01)
    slots.give_back()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]


async def test_who_finds_none_in_time_takes_none() -> None:
    slots = Slots(1)
    await slots.take(100)
    assert await slots.take(20) == 0
    assert await slots.take(0) == 0
    slots.give_back()
    assert await slots.take(50) == 50


async def test_a_slot_that_comes_free_as_the_time_is_up_is_not_lost() -> None:
    slots = Slots(1)
    await slots.take(100)
    asyncio.get_running_loop().call_later(0.001, slots.give_back)
    late = asyncio.create_task(slots.take(2))
    await asyncio.sleep(0)
    time.sleep(0.01)  # noqa: ASYNC251 - both are due when the loop comes round again
    assert await late == 0
    assert await slots.take(50) == 50


async def test_a_slot_that_comes_free_as_its_waiter_is_cancelled_is_not_lost() -> None:
    slots = Slots(1)
    await slots.take(100)
    waiting = asyncio.create_task(slots.take(1_000))
    await asyncio.sleep(0)
    slots.give_back()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await slots.take(50) == 50
