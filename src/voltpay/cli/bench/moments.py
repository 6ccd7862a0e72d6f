"""Moments: when an open crowd sends, and a thread that keeps the time."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from math import sqrt
from threading import Thread
from time import perf_counter, sleep


def steady(per_s: float, seconds: float) -> Iterator[float]:
    """Moments, seconds from the beginning: so many a second for so long."""
    return (number / per_s for number in range(int(per_s * seconds)))


def ramp(per_s: float, seconds: float) -> Iterator[float]:
    """Moments at a rate that grows evenly from nothing to so many a second."""
    total = int(per_s * seconds / 2)
    return (sqrt(2 * number * seconds / per_s) for number in range(total))


async def at(moments: Iterable[float], began: float, on_due: Callable[[float], None]) -> None:
    """Call it at each of these moments after `began`; a thread keeps the time."""
    loop, has_ended = asyncio.get_running_loop(), asyncio.Event()

    def keep_time() -> None:
        for moment in moments:
            at = began + moment
            if (early_s := at - perf_counter()) > 0:
                sleep(early_s)
            loop.call_soon_threadsafe(on_due, at)
        loop.call_soon_threadsafe(has_ended.set)

    Thread(target=keep_time, daemon=True).start()
    await has_ended.wait()
