"""`voltpay bench`: what an installation on this machine does, beside the bare loop, durability on.

Everything shares this machine: clients, engines, roles and processors. Figures are medians of
rounds; a ratio is of two measurements of the same round.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from voltpay.cli.bench import growth as growing
from voltpay.cli.bench import machine, once
from voltpay.cli.bench import round as rounded
from voltpay.cli.bench.bare import BareFigures, bare_figures
from voltpay.cli.bench.figures import Figure, Report, read, rows, written
from voltpay.cli.bench.round import Say, Values
from voltpay.cli.bench.wanted import BARE, ON_KAFKA, WANTED, unit_of
from voltpay.foundation.runtime.lifecycle import spare_the_collector

_ProgramOption = Annotated[
    Path | None, typer.Option(help="The bare loop: a program, as benchmarks/bare.py is")
]
_FillOption = Annotated[
    Path | None, typer.Option(help="What fills in --payments: as benchmarks/fill.py does")
]
_BacklogOption = Annotated[int, typer.Option(min=0, help="Payments that wait to be drained")]
_KafkaOption = Annotated[
    str | None, typer.Option(help="kafka://… on which to measure, too, beside Redis")
]
_GrowthOption = Annotated[
    bool, typer.Option("--growth", help="How cost grows: clients, backlog, processes, partitions")
]
_StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 1 if a floor is missed")]
_BACKLOG: Final = 100_000


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


def bench(
    seconds: Annotated[float, typer.Option(min=0.5, help="How long a measurement lasts")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; medians are shown")] = 5,
    backlog: _BacklogOption = _BACKLOG,
    bare: _ProgramOption = None,
    fill: _FillOption = None,
    payments: Annotated[int, typer.Option(min=0, help="Payments to fill in, once a run")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="Minutes at 1,000/s for memory")] = 0,
    kafka: _KafkaOption = None,
    growth: _GrowthOption = False,
    long: Annotated[bool, typer.Option(help="What takes minutes, too: the challenge")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the figures here, too")] = None,
    compare: Annotated[Path | None, typer.Option(help="Figures of a run before")] = None,
    strict: _StrictOption = False,
) -> None:
    """Measure an installation of its own: accepting, draining, the whole, parts, memory, start.

    With --bare, each beside a loop that does only the hops; with --kafka, on a log there, too.
    """
    older = read(compare) if compare else None
    spare_the_collector()
    run = _Run(Console(), json)
    for number in range(rounds):
        run.round(f"round {number + 1} of {rounds}", bare, kafka, seconds, backlog)
    if growth:
        growing.measure(run.values, seconds, kafka, run.telling("growth"))
    if long:
        once.measure(run.values, seconds, fill, payments, minutes, run.telling("once"))
    if not run.told(older) and strict:
        raise SystemExit(1)


class _Run:
    """What was measured so far; written after each round, too, so that nothing is lost."""

    def __init__(self, console: Console, path: Path | None) -> None:
        self.values: Values = defaultdict(list)
        self._beside: list[BareFigures] = []
        self._durability: Mapping[str, str] = {}
        self._console = console
        self._path = path

    def round(
        self, name: str, bare: Path | None, kafka: str | None, seconds: float, backlog: int
    ) -> None:
        """One more, beside the bare loop if there is one."""
        say = self.telling(name)
        if bare is not None:
            say("the bare loop")
            self._beside.append(bare_figures(bare, seconds, backlog))
        self._durability = rounded.measure(self.values, seconds, backlog, kafka, say)
        self.report()

    def report(self) -> Report:
        """All of it, written if there is a file for it."""
        figures = _figures(self.values, self._beside)
        report = Report(figures, self._durability, machine.described())
        if self._path is not None:
            self._path.write_bytes(written(report))
        return report

    def told(self, older: Report | None) -> bool:
        """Show it, beside an older one; whether no floor is missed."""
        report = self.report()
        _tell(self._console, report, older)
        return all(figure.holds is not False for figure in report.figures)

    def telling(self, where: str) -> Say:
        """What shows how far a part of it is."""
        began = perf_counter()

        def say(what: str) -> None:
            passed_s = perf_counter() - began
            self._console.print(f"{where}, {passed_s:4.0f} s: {what}", highlight=False)

        return say


def _figures(values: Values, beside: list[BareFigures]) -> list[Figure]:
    held: dict[str, list[float]] = {
        name: [getattr(each, theirs) for each in beside] for name, theirs in BARE.items()
    }
    # What is on Kafka is held against the same on Redis.
    held |= {ON_KAFKA + name: measured for name, measured in values.items()}
    return [
        Figure(name, unit_of(name), measured, _pairs(measured, held.get(name)), WANTED.get(name))
        for name, measured in values.items()
    ]


def _pairs(measured: Sequence[float], held: Sequence[float] | None) -> Sequence[float]:
    """What it is held against, if that was measured in every round."""
    return held if held and len(held) == len(measured) and all(held) else ()


def _tell(console: Console, report: Report, older: Report | None) -> None:
    columns = ("measured", "median (least to most)", "ratio", "floor", "since")
    table = Table(*columns, title="voltpay bench")
    for row in rows(report, older):
        table.add_row(*row)
    console.print(table)
    console.print("ratio: to the bare loop; on Kafka, to the same on Redis")
    console.print(" ".join(f"{name}={value}" for name, value in report.durability.items()))
