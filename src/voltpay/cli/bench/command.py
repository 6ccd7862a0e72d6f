"""`voltpay bench`: accept as fast as the clients can, then drain; durability is read back.

Everything shares this machine: clients, engines, roles and processors. A first, short bench.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.bench.crowd import Burst, burst
from voltpay.cli.installation import found, opened_house
from voltpay.cli.trial import free_ports, started
from voltpay.core.errors import Broken
from voltpay.processors.sandbox.control import SandboxControl

_POLL_S: Final = 0.05
_DRAIN_S: Final = 600.0


class NotDrained(Broken):
    """What was accepted did not reach the read model in time."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


def bench(
    seconds: Annotated[float, typer.Option(min=1, help="How long each measurement lasts")] = 5,
    clients: Annotated[int, typer.Option(min=1, max=512, help="Clients at once")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the median is shown")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write the figures here, too")] = None,
) -> None:
    """Measure accepting, and draining what was accepted, on an installation of its own."""
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="voltpay-bench-"))
    ports = free_ports(3)
    try:
        with started(folder, ports, console), found(folder, None) as settings:
            url = f"http://127.0.0.1:{ports[0]}"
            figures = asyncio.run(_measure(settings, url, (seconds, clients, rounds), console))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _tell(console, figures)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


async def _measure(
    settings: Settings, url: str, plan: tuple[float, int, int], console: Console
) -> dict[str, Any]:
    seconds, clients, rounds = plan
    bursts: list[Burst] = []
    drains: list[float] = []
    async with opened_house(settings, "bench") as house:
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds}: accepting, then draining")
            await _let_fail(settings, failing=True)
            before = await house.inquiry.count_payments()
            bursts.append(await burst(url, clients=clients, seconds=seconds, seed=number))
            await _let_fail(settings, failing=False)
            drains.append(await _drain(house, before, bursts[-1].accepted))
        durability = await _durability(house)
    bursts.sort(key=lambda each: each.per_s)
    middle = bursts[len(bursts) // 2]
    return {
        "clients": clients,
        "seconds": seconds,
        "accept_per_s": [round(each.per_s) for each in bursts],
        "accept_p50_ms": round(middle.percentile_ms(0.5), 2),
        "accept_p99_ms": round(middle.percentile_ms(0.99), 2),
        "refused": sum(each.others for each in bursts),
        "drain_per_s": sorted(round(each) for each in drains),
        "durability": durability,
    }


async def _let_fail(settings: Settings, *, failing: bool) -> None:
    for processor in settings.processors:
        async with SandboxControl(processor.url) as control:
            await control.set_failure(failing)


async def _drain(house: House, before: int, count: int) -> float:
    """Payments a second, from the first that reaches the read model to the last."""
    began, reached = 0.0, before
    end = perf_counter() + _DRAIN_S
    while reached < before + count:
        await asyncio.sleep(_POLL_S)
        reached = await house.inquiry.count_payments()
        if not began and reached > before:
            began, first = perf_counter(), reached
        if perf_counter() > end:
            raise NotDrained(f"{before + count - reached} payments are missing")
    return (before + count - first) / max(perf_counter() - began, _POLL_S)


async def _durability(house: House) -> dict[str, str]:
    """What the engines themselves say of their settings."""
    database = house.engines.primary("bench", size_max=1)
    try:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        told = {name: str(await database.fetch_value(f"show {name}")) for name in names}
    finally:
        await database.close()
    return told | dict(await house.engines.admin.durability())


def _tell(console: Console, figures: dict[str, Any]) -> None:
    table = Table("measured", "median", "rounds", title="voltpay bench")
    for name in ("accept_per_s", "drain_per_s"):
        rows = figures[name]
        table.add_row(name, f"{rows[len(rows) // 2]:,}", " ".join(f"{row:,}" for row in rows))
    for name in ("accept_p50_ms", "accept_p99_ms", "refused"):
        table.add_row(name, str(figures[name]), "")
    console.print(table)
    console.print(" ".join(f"{name}={value}" for name, value in figures["durability"].items()))
