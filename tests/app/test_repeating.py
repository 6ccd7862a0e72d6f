"""Periodic work: what is away or broken makes it wait, and never ends its role."""

import asyncio

import pytest

from voltpay.app.run import Repeating
from voltpay.core.errors import Broken, Unavailable
from voltpay.foundation.runtime.parts import Periodic
from voltpay.foundation.runtime.retry import Backoff


class NoChance:
    """Always the shortest wait."""

    def random(self):
        """Zero."""
        return 0.0


async def run_until(repeating, is_over):
    """Run it until the question is answered with yes."""
    stop = asyncio.Event()
    running = asyncio.create_task(repeating.run(stop))
    async with asyncio.timeout(5):
        while not is_over():
            await asyncio.sleep(0)
    stop.set()
    await running


@pytest.mark.parametrize("error", [Unavailable("away"), Broken("ours")])
async def test_it_goes_on_after_a_failure_and_is_not_ready_meanwhile(error):
    seen = []

    async def work():
        seen.append(repeating.is_ready)
        if len(seen) <= 2:
            raise error

    repeating = Repeating(Periodic("work", 1, work), Backoff(NoChance()))
    await run_until(repeating, lambda: len(seen) >= 4)
    assert seen[:4] == [False, False, False, True]


async def test_work_that_is_not_needed_never_keeps_a_role_from_being_ready():
    async def work():
        raise Unavailable("away")

    repeating = Repeating(Periodic("work", 1, work, is_needed=False), Backoff(NoChance()))
    assert repeating.is_ready
    runs = 0

    def is_over():
        nonlocal runs
        runs += 1
        return runs > 50

    await run_until(repeating, is_over)
    assert repeating.is_ready


async def test_what_nobody_foresaw_ends_the_role():
    async def work():
        raise ZeroDivisionError

    repeating = Repeating(Periodic("work", 1, work), Backoff(NoChance()))
    with pytest.raises(ZeroDivisionError):
        await repeating.run(asyncio.Event())
