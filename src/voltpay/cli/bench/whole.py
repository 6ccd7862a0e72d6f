"""A whole installation at work: accepting, draining, all at once, how soon it answers."""

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Final

from msgspec import Struct

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.app.topology import STAGES
from voltpay.cli.bench.cost import cpu_s, micros_each
from voltpay.cli.bench.crowd import Burst, closed
from voltpay.cli.bench.requests import payments
from voltpay.core.errors import Broken
from voltpay.processors.sandbox.control import SandboxControl

_POLL_S: Final = 0.02
_LOOK_S: Final = 0.1
"""To look is work, too: fifty times a second it was 2 % of what a drain cost."""
_DRAIN_S: Final = 900.0
TO_POSTED: Final = ("accepted", "deferred", "settled")
TO_READ_MODEL: Final = (*TO_POSTED, "posted")


class NotDrained(Broken):
    """What was accepted did not reach its end in time."""


class Whole(Struct, frozen=True):
    """Payments a second from the first request to the end of all of them."""

    posted_per_s: float
    read_model_per_s: float


class Drained(Struct, frozen=True):
    """Payments a second from the first charge after an outage, and how late that was.

    `micros`: CPU a payment to the read model, by role and engine, where the system tells.
    """

    per_s: float
    noticed_s: float
    micros: Mapping[str, float]


async def accepted(settings: Settings, url: str, clients: int, seconds: float) -> Burst:
    """Accept alone: both processors fail meanwhile, so that routing has nothing to do."""
    await _let_fail(settings, failing=True)
    return await closed(url, payments(url), clients=clients, seconds=seconds)


async def fail(settings: Settings) -> None:
    """Let both processors fail, so that what is accepted waits."""
    await _let_fail(settings, failing=True)


async def filled(house: House, settings: Settings, url: str, count: int) -> int:
    """Accept on until so many wait; gives how many do."""
    lanes = _lanes(settings, TO_POSTED)
    while True:
        waiting = sum([await house.engines.log.backlog(*lane) for lane in lanes])
        if waiting >= count:
            return waiting
        seconds = min(2, (count - waiting) / 8_000 + 0.1)
        await closed(url, payments(url), clients=32, seconds=seconds)


async def drained(house: House, settings: Settings, count: int) -> Drained:
    """Let the processors be well again; payments a second from the first charge to all posted."""
    settled = await house.engines.log.ends(settings.topics.settled)
    await _let_fail(settings, failing=False)
    began = perf_counter()
    while True:
        await asyncio.sleep(_POLL_S)
        if await house.engines.log.ends(settings.topics.settled) != settled:
            break
    first, before = perf_counter(), cpu_s()
    await _until_empty(house, settings, TO_POSTED)
    per_s = count / (perf_counter() - first)
    await _until_empty(house, settings, TO_READ_MODEL)
    return Drained(per_s, first - began, micros_each(before, cpu_s(), count))


async def all_at_once(house: House, settings: Settings, url: str, seconds: float) -> Whole:
    """Accept, route, post and project at the same time; every 202 is found in the read model."""
    before = await house.inquiry.count_payments()
    began = perf_counter()
    burst = await closed(url, payments(url), clients=32, seconds=seconds)
    await _until_empty(house, settings, TO_POSTED)
    posted_s = perf_counter() - began
    await _until_empty(house, settings, TO_READ_MODEL)
    whole_s = perf_counter() - began
    found = await house.inquiry.count_payments() - before
    if found != burst.count(202):
        raise NotDrained(f"{burst.count(202)} were accepted, {found} are in the read model")
    return Whole(found / posted_s, found / whole_s)


async def settle(house: House, settings: Settings) -> None:
    """Wait until nothing is on its way."""
    await _until_empty(house, settings, TO_READ_MODEL)


async def _let_fail(settings: Settings, *, failing: bool) -> None:
    for processor in settings.processors:
        async with SandboxControl(processor.url) as control:
            await control.set_failure(failing)


def _lanes(settings: Settings, topics: Sequence[str]) -> Sequence[tuple[str, str]]:
    return [
        (getattr(settings.topics, topic), stage.group)
        for stage in STAGES
        for topic in stage.reads
        if topic in topics
    ]


async def _until_empty(house: House, settings: Settings, topics: Sequence[str]) -> None:
    lanes = _lanes(settings, topics)
    end = perf_counter() + _DRAIN_S
    while True:
        waiting = sum([await house.engines.log.backlog(*lane) for lane in lanes])
        if not waiting and not await house.routing.census.open_attempts():
            return
        if perf_counter() > end:
            raise NotDrained(f"{waiting} records still wait")
        await asyncio.sleep(_LOOK_S)
