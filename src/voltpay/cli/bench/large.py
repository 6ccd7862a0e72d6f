"""Books and a read model that hold millions: what posting and summaries cost then."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.bench import parts
from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.services.inquiry.cached import Bound
from voltpay.services.inquiry.store import Reader
from voltpay.services.inquiry.summary import Summary
from voltpay.services.inquiry.window import Window

_ASKED: Final = 200
_MS: Final = 1_000
_DAY_MS: Final = 86_400_000
_OPEN_MS: Final = 4_102_444_800_000
"""The end of the year 2099."""


async def fill(program: Path, url: str, count: int) -> None:
    """Let a program fill a migrated database with so many posted payments of ten days."""
    command = [sys.executable, str(program), "--count", str(count)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    # On its standard input: an argument would show the password to everyone.
    _, said = await process.communicate(url.encode())
    if process.returncode:
        raise Misconfigured(f"{program} failed ({said.decode().strip()})", "run it by itself")


async def measured(
    house: House, settings: Settings, program: Path, count: int, seconds: float
) -> Mapping[str, float]:
    """Payments posted a second and percentiles of summaries in ms, on so many payments."""
    values: dict[str, float] = {}
    async with parts.scratch(house, settings) as url:
        await fill(program, url, count)
        async with parts.ledger_in(url) as ledger:
            name = f"ledger, batches of 1,000, on {count:,} payments"
            values[name] = await parts.posted_per_s(ledger, 1_000, seconds)
        database = Postgres(url, name="bench", size_max=2)
        try:
            values.update(await _summaries(house, settings, database))
        finally:
            await database.close()
    return values


async def _summaries(house: House, settings: Settings, database: Postgres) -> Mapping[str, float]:
    async def nothing_settles() -> Mapping[int, int]:
        return {}

    names = [each.name for each in settings.processors]
    bound = Bound(settings.inquiry.questions_at_once_max)
    summary = Summary(
        Reader(database), nothing_settles, house.engines.clock, bound, settings.inquiry, names
    )
    values = {}
    for name, windows in _windows().items():
        took = []
        for number in range(_ASKED):
            began = perf_counter()
            await summary(windows[number % len(windows)], settings.currency)
            took.append(_MS * (perf_counter() - began))
        took.sort()
        values[f"summary of {name}, p50"] = took[_ASKED // 2]
        values[f"summary of {name}, p99"] = took[int(0.99 * _ASKED)]
    return values


def _windows() -> Mapping[str, Sequence[Window]]:
    """Windows of the ten days that are filled, several of a kind."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [int((today - timedelta(days=back)).timestamp() * _MS) for back in range(1, 9)]
    return {
        "a minute": [
            Window(at + 7 * 60_000 * n, at + 7 * 60_000 * n + 59_999) for n, at in enumerate(days)
        ],
        "a day": [Window(at, at + _DAY_MS - 1) for at in days],
        "all": [Window(0, _OPEN_MS)],
        "odd edges": [
            Window(at + 3_723_417 * (n + 1), at + _DAY_MS + 5_025_983 * (n + 1))
            for n, at in enumerate(days)
        ],
    }
