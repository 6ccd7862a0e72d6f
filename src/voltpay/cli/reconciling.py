"""Reconcile an installation: sources from its services, and waiting until it has drained."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Final

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.app.topology import STAGES
from voltpay.services.reconciliation.compare import compare
from voltpay.services.reconciliation.evidence import Asked, Tally
from voltpay.services.reconciliation.gather import gather
from voltpay.services.reconciliation.sources import Lane, Sources, Summaries, Window
from voltpay.services.reconciliation.verdict import Verdict, agreed

_POLL_S: Final = 0.25


def sources_of(house: House, settings: Settings) -> Sources:
    """Where the evidence of an installation comes from."""
    engines = house.engines
    lanes: dict[str, Lane] = {}
    for stage in STAGES:
        for topic in stage.reads:
            lane = getattr(settings.topics, topic), stage.group
            name = f"payment.{topic}"
            lanes[f"{name} for {stage.group}" if name in lanes else name] = Lane(
                partial(engines.log.backlog, *lane), partial(engines.admin.unfinished, *lane)
            )
    return Sources(
        database=engines.primary("reconcile", size_max=1, timeout_ms=600_000),
        journals={each.name: each.statement for each in house.processors},
        lanes=lanes,
        promised=engines.intake.open_claims,
        summaries=_summaries_of(house, settings.currency),
    )


def _summaries_of(house: House, code: str) -> Summaries:
    counted = {each.name for each in house.processors if each.currencies == {code}}

    async def summaries(from_ms: int, to_ms: int) -> Mapping[str, Tally] | None:
        found = await house.inquiry.totals(from_ms, to_ms, code)
        if found is None:
            return None
        return {
            name: Tally(total.count, total.amount_minor)
            for name, total in found.items()
            if name in counted
        }

    return summaries


async def reconcile(
    house: House,
    settings: Settings,
    window: Window,
    *,
    asked: Sequence[Asked] = (),
    is_drained: bool = True,
) -> Verdict:
    """The verdict on a window of an installation.

    The stores of one that works are read one after the other: what is between two of them in one
    look is at its end in the next, so only what two looks agree on is a difference.
    """
    sources = sources_of(house, settings)
    try:
        seen = await gather(sources, window, asked)
        first = compare(seen, is_drained=is_drained)
        if first.holds:
            return first
        await asyncio.sleep(_POLL_S)
        again = await gather(sources, window, asked, before=seen)
        return agreed(first, compare(again, is_drained=is_drained))
    finally:
        await sources.database.close()


async def drained(
    house: House, settings: Settings, timeout_s: float, tick: Callable[[int, int], None]
) -> bool:
    """Wait until nothing is on its way; `tick` gets (waiting, open attempts). False: in vain."""
    sources = sources_of(house, settings)
    end = monotonic() + timeout_s
    try:
        while True:
            waiting = sum([await lane.backlog() for lane in sources.lanes.values()])
            still_open = await house.routing.census.open_attempts()
            tick(waiting, still_open)
            if waiting == 0 and still_open == 0:
                return True
            if monotonic() > end:
                return False
            await asyncio.sleep(_POLL_S)
    finally:
        await sources.database.close()
