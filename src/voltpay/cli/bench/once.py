"""What takes minutes, and is measured once a run: millions of rows, the challenge, memory."""

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Final

import uvloop

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.bench import large, machine, whole
from voltpay.cli.bench.challenge import challenge
from voltpay.cli.bench.crowd import opened
from voltpay.cli.bench.installed import Installed, installed
from voltpay.cli.bench.moments import steady
from voltpay.cli.bench.requests import payments
from voltpay.cli.bench.round import Say, Values
from voltpay.cli.installation import opened_house

_PER_S: Final = 1_000
_MINUTE_S: Final = 60.0


def measure(
    values: Values, seconds: float, fill: Path | None, count: int, minutes: float, say: Say
) -> None:
    """The challenge and `minutes` at a thousand a second, then `count` payments filled in."""
    with installed() as made:
        uvloop.run(_long(values, made, minutes, say))
        if fill is not None and count:
            uvloop.run(_large(values, made.settings, fill, count, seconds, say))


async def _long(values: Values, made: Installed, minutes: float, say: Say) -> None:
    async with opened_house(made.settings, "bench") as house:
        say("the challenge, a minute")
        met = await challenge(house, made.settings, made.url)
        values["challenge, p99"].append(met.p99_ms)
        values["challenge, completed"].append(met.completed)
        values["challenge, differences"].append(met.differences)
        if minutes:
            await _memory(values, house, made, minutes, say)


async def _memory(values: Values, house: House, made: Installed, minutes: float, say: Say) -> None:
    say(f"memory, {minutes:g} minutes at {_PER_S:,}/s")
    seen: list[tuple[float, float]] = []
    began = perf_counter()
    moments = steady(_PER_S, minutes * _MINUTE_S)
    load = asyncio.create_task(opened(made.url, payments(made.url), moments))
    while not load.done():
        await asyncio.wait({load}, timeout=_MINUTE_S / 4)
        memory = machine.memory_mib(made.folder)
        if memory is not None:
            seen.append(((perf_counter() - began) / _MINUTE_S, memory))
    await load
    await whole.settle(house, made.settings)
    if seen:
        values["memory, at 1,000/s"].append(max(memory for _, memory in seen))
        values["memory, growth in the second half"].append(_slope(seen[len(seen) // 2 :]))


def _slope(seen: list[tuple[float, float]]) -> float:
    """Of the line through the points that is nearest to them."""
    at = sum(x for x, _ in seen) / len(seen)
    level = sum(y for _, y in seen) / len(seen)
    spread = sum((x - at) ** 2 for x, _ in seen)
    return sum((x - at) * (y - level) for x, y in seen) / spread if spread else 0.0


async def _large(
    values: Values, settings: Settings, fill: Path, count: int, seconds: float, say: Say
) -> None:
    say(f"{count:,} payments filled in")
    async with opened_house(settings, "bench") as house:
        found_values = await large.measured(house, settings, fill, count, seconds)
    for name, value in found_values.items():
        values[name].append(value)
