"""Turns: at most so many POSTs at once, first come first served, whoever gives up."""

import asyncio

import pytest

from voltpay.foundation.runtime.turns import Turns


async def _holding(turns: Turns, order: list[int], number: int, until: asyncio.Event) -> None:
    await turns.take()
    order.append(number)
    try:
        await until.wait()
    finally:
        turns.give_back()


async def test_no_more_than_the_limit_hold_a_turn_and_the_rest_follow_in_order() -> None:
    turns, order = Turns(lambda: 2), list[int]()
    gates = [asyncio.Event() for _ in range(5)]
    tasks = [asyncio.create_task(_holding(turns, order, n, gates[n])) for n in range(5)]
    await asyncio.sleep(0.01)
    assert order == [0, 1]
    gates[1].set()
    await asyncio.sleep(0.01)
    assert order == [0, 1, 2]
    for gate in gates:
        gate.set()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert turns.taken == 0


async def test_a_limit_that_grows_lets_more_in_with_the_next_turn_given_back() -> None:
    limit = 1
    turns, order, gate = Turns(lambda: limit), list[int](), asyncio.Event()
    first = asyncio.Event()
    tasks = [asyncio.create_task(_holding(turns, order, 0, first))]
    tasks += [asyncio.create_task(_holding(turns, order, n, gate)) for n in range(1, 5)]
    await asyncio.sleep(0.01)
    limit = 3
    first.set()
    await asyncio.sleep(0.01)
    assert order == [0, 1, 2, 3]
    gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("was_given", [False, True])
async def test_whoever_gives_up_waiting_takes_no_turn_away(was_given: bool) -> None:
    turns = Turns(lambda: 1)
    await turns.take()
    waiting = [asyncio.create_task(turns.take()) for _ in range(2)]
    await asyncio.sleep(0)
    if was_given:
        turns.give_back()
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    if not was_given:
        turns.give_back()
    await asyncio.wait_for(waiting[1], 1)
    turns.give_back()
    assert turns.taken == 0
