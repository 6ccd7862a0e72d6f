"""Bounds that share a timer behave as asyncio's own, a moment later."""

import asyncio

import pytest

from voltpay.foundation.runtime.overdue import Overdue


async def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutError), Overdue().bound(0.05):
        await asyncio.sleep(60)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_is_in_time_is_left_alone_and_so_is_what_comes_after() -> None:
    overdue = Overdue()
    with overdue.bound(0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.25)
    with overdue.bound(60):
        await asyncio.sleep(0.25)


async def test_each_has_its_own_time() -> None:
    overdue = Overdue()

    async def within(bound_s: float, takes_s: float) -> str:
        try:
            with overdue.bound(bound_s):
                await asyncio.sleep(takes_s)
        except TimeoutError:
            return "late"
        return "done"

    ended = await asyncio.gather(within(0.05, 60), within(60, 0.3), within(0.2, 60))
    assert ended == ["late", "done", "late"]


async def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    async def bounded() -> None:
        with Overdue().bound(60):
            await asyncio.sleep(60)

    task = asyncio.create_task(bounded())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_from_outside_as_its_time_is_up_it_is_cancelled() -> None:
    overdue = Overdue()

    async def bounded() -> None:
        bound = overdue.bound(60)
        with bound:
            bound.expire()
            task.cancel()
            await asyncio.sleep(60)

    task = asyncio.create_task(bounded())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_error_passes() -> None:
    with pytest.raises(ValueError, match="mine"), Overdue().bound(60):
        raise ValueError("mine")
