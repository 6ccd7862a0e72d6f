"""`voltpay bench`: what an installation on this machine does, beside the bare loop, durability on.

Everything shares this machine: clients, engines, roles and processors. Figures are medians of
rounds; a ratio is of two measurements of the same round.
"""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.bench import machine, parts, whole
from voltpay.cli.bench.bare import BareFigures, bare_figures
from voltpay.cli.bench.figures import Figure, Report, Wanted, read, rows, written
from voltpay.cli.installation import found, opened_house
from voltpay.cli.trial import free_ports, started

OFFERED_PER_S: Final = 2_000
_WANTED: Final[Mapping[str, Wanted]] = {
    "accept, 32 clients": Wanted(0.7, 0.9, is_ratio=True),
    "accept, 256 clients": Wanted(0.7, 0.9, is_ratio=True),
    "accept p99 at 2,000/s": Wanted(5, 3, is_most=True),
    "accept p50 at 2,000/s": Wanted(5, 1.5, is_most=True),
    "whole, to posted": Wanted(0.5, 0.7, is_ratio=True),
    "whole, to read model": Wanted(0.5, 0.7, is_ratio=True),
    "drain": Wanted(0.5, 0.7, is_ratio=True),
    "ledger, batches of 1,000": Wanted(0.6, 0.8, is_ratio=True),
    "status, cached": Wanted(10_000, 12_000),
    "balance, cached": Wanted(10_000, 12_000),
    "transactions, cached": Wanted(10_000, 12_000),
    "choices, explained": Wanted(50_000, 100_000),
    "memory, idle": Wanted(400, 350, is_most=True),
    "start, cold": Wanted(10, 6, is_most=True),
    "start, warm": Wanted(5, 3, is_most=True),
}
"""Floors and goals, by figure."""
_UNITS: Final = {"memory, idle": "MiB", "start, cold": "s", "start, warm": "s"}
_BARE: Final[Mapping[str, str]] = {
    "accept, 32 clients": "accept_32",
    "accept, 256 clients": "accept_256",
    "whole, to posted": "whole",
    "whole, to read model": "whole",
    "drain": "drain",
    "ledger, batches of 1,000": "ledger",
}
_PATHS: Final = {
    "status, cached": "/payments/{id}/status",
    "balance, cached": "/accounts/{account}/balance",
    "transactions, cached": "/accounts/{account}/transactions",
}
_ACCOUNT: Final = "account-0"

Values = defaultdict[str, list[float]]
_BareOption = Annotated[
    Path | None, typer.Option(help="The bare loop: a program, as benchmarks/bare.py is")
]
_StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 1 if a floor is missed")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


def bench(
    seconds: Annotated[float, typer.Option(min=0.5, help="How long a measurement lasts")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; medians are shown")] = 5,
    bare: _BareOption = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures here, too")] = None,
    compare: Annotated[Path | None, typer.Option(help="Figures of a run before")] = None,
    strict: _StrictOption = False,
) -> None:
    """Measure an installation of its own: accepting, draining, the whole, parts, memory, start.

    With --bare, each beside a loop that does only the hops.
    """
    console = Console()
    older = read(compare) if compare else None
    values: Values = defaultdict(list)
    beside: list[BareFigures] = []
    for number in range(rounds):
        told = partial(console.print, f"round {number + 1} of {rounds}:", highlight=False)
        if bare is not None:
            told("the bare loop")
            beside.append(bare_figures(bare, seconds))
        told("Voltpay")
        durability = _round(values, seconds, console)
    report = Report(_figures(values, beside), durability, machine.described())
    _tell(console, report, older)
    if json is not None:
        json.write_bytes(written(report))
    if strict and any(figure.holds is False for figure in report.figures):
        raise SystemExit(1)


def _figures(values: Values, beside: list[BareFigures]) -> list[Figure]:
    return [
        Figure(
            name,
            _UNITS.get(name, "ms" if name.startswith("accept p") else "/s"),
            measured,
            [getattr(each, _BARE[name]) for each in beside] if name in _BARE else (),
            _WANTED.get(name),
        )
        for name, measured in values.items()
    ]


def _round(values: Values, seconds: float, console: Console) -> Mapping[str, str]:
    folder = Path(tempfile.mkdtemp(prefix="voltpay-bench-"))
    ports = free_ports(3)
    try:
        with started(folder, ports, console), found(folder, None) as settings:
            memory = machine.memory_mib(folder)
            if memory is not None:
                values["memory, idle"].append(memory)
            url = f"http://127.0.0.1:{ports[0]}"
            durability = uvloop.run(_measured(values, settings, url, seconds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, took_s in zip(("start, cold", "start, warm"), machine.starts_s(), strict=True):
        values[name].append(took_s)
    return durability


async def _measured(
    values: Values, settings: Settings, url: str, seconds: float
) -> Mapping[str, str]:
    async with opened_house(settings, "bench") as house:
        await _measure_whole(values, house, settings, url, seconds)
        await _measure_answers(values, url, seconds)
        async with parts.empty_ledger(house, settings) as ledger:
            for batch in parts.BATCHES:
                name = f"ledger, batches of {batch:,}"
                values[name].append(await parts.posted_per_s(ledger, batch, seconds / 4))
            hot = await parts.posted_per_s(ledger, 1_000, seconds / 4, accounts=1)
            values["ledger, one hot account"].append(hot)
        values["choices, explained"].append(parts.choices_per_s(seconds / 4))
        return await _durability(house)


async def _measure_whole(
    values: Values, house: House, settings: Settings, url: str, seconds: float
) -> None:
    count = 0
    for clients in (32, 256):
        burst = await whole.accepted(settings, url, clients, seconds)
        values[f"accept, {clients} clients"].append(burst.per_s(202))
        count += burst.count(202)
    drained = await whole.drained(house, settings, count)
    values["drain"].append(drained.per_s)
    values["outage noticed to be over"].append(drained.noticed_s)
    made = await whole.all_at_once(house, settings, url, seconds)
    values["whole, to posted"].append(made.posted_per_s)
    values["whole, to read model"].append(made.read_model_per_s)
    burst = await whole.offered(url, OFFERED_PER_S, seconds)
    for share, name in ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")):
        values[f"accept {name} at 2,000/s"].append(burst.percentile_ms(share))
    await whole.settle(house, settings)


async def _measure_answers(values: Values, url: str, seconds: float) -> None:
    payment_id = await parts.a_payment_of(url, _ACCOUNT)
    for name, path in _PATHS.items():
        asked = path.format(account=_ACCOUNT, id=payment_id)
        values[name].append(await parts.answers_per_s(url, asked, seconds / 2))


async def _durability(house: House) -> dict[str, str]:
    """What the engines themselves say of their settings."""
    database = house.engines.primary("bench", size_max=1)
    try:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        told = {name: str(await database.fetch_value(f"show {name}")) for name in names}
    finally:
        await database.close()
    return told | dict(await house.engines.admin.durability())


def _tell(console: Console, report: Report, older: Report | None) -> None:
    columns = ("measured", "median (least to most)", "of bare", "floor", "since")
    table = Table(*columns, title="voltpay bench")
    for row in rows(report, older):
        table.add_row(*row)
    console.print(table)
    console.print(" ".join(f"{name}={value}" for name, value in report.durability.items()))
