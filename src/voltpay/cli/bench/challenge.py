"""The load of the public "Rinha de Backend 2025" challenge, its clients and its processors' moods.

550 clients come within a minute, each paying once a second; the processors get slow, fail one after
the other, fail together, recover, and one becomes very slow: the demo's scenario.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Final

from msgspec import Struct

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.bench.crowd import opened
from voltpay.cli.bench.moments import ramp
from voltpay.cli.bench.requests import payments
from voltpay.cli.bench.whole import settle
from voltpay.cli.demo.scenario import SCENARIO_S, Mood, act_at
from voltpay.cli.reconciling import reconcile
from voltpay.processors.sandbox.control import SandboxControl
from voltpay.services.reconciliation.sources import Window

_CLIENTS: Final = 550
_GRACE_S: Final = 1.5
"""The challenge itself looks at what is older than this."""
_LOOK_S: Final = 0.2


class Met(Struct, frozen=True):
    """How it went: completed is a percentage, as the load ended and a moment passed."""

    p99_ms: float
    completed: float
    differences: int


async def challenge(house: House, settings: Settings, url: str) -> Met:
    """Play it, then reconcile."""
    before = await house.inquiry.count_payments()
    moods = asyncio.create_task(_moods(settings))
    burst = await opened(url, payments(url), ramp(_CLIENTS, SCENARIO_S), clients=_CLIENTS)
    await moods
    await asyncio.sleep(_GRACE_S)
    promised = burst.count(202)
    completed = await house.inquiry.count_payments() - before
    await settle(house, settings)
    lost = sum(burst.statuses.values()) - promised
    verdict = await reconcile(house, settings, Window())
    found = await house.inquiry.count_payments() - before
    differences = len(verdict.differences) + abs(found - promised) + lost
    return Met(burst.percentile_ms(0.99), 100 * completed / promised, differences)


async def _moods(settings: Settings) -> None:
    began = perf_counter()
    async with AsyncExitStack() as stack:
        controls = [
            await stack.enter_async_context(SandboxControl(each.url))
            for each in settings.processors
        ]
        playing = None
        while (elapsed_s := perf_counter() - began) < SCENARIO_S:
            act = act_at(elapsed_s, SCENARIO_S)
            if act is not playing:
                playing = act
                await _set(controls, (act.default, act.fallback))
            await asyncio.sleep(_LOOK_S)
        await _set(controls, (Mood(), Mood()))


async def _set(controls: Sequence[SandboxControl], moods: Sequence[Mood]) -> None:
    for control, mood in zip(controls, moods, strict=True):
        await control.set_delay(mood.delay_ms)
        await control.set_failure(mood.is_failing)
