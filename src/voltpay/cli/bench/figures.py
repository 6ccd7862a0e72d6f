"""Figures: what was measured, over rounds, beside its bare loop and beside an older run."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from voltpay.core.errors import Misconfigured

Rows = tuple[str, str, str, str, str]


class Wanted(Struct, frozen=True):
    """What a figure should be: `floor` must be met, `goal` is where to get to. Of the ratio to the
    bare loop where there is one.
    """

    floor: float
    goal: float
    is_ratio: bool = False
    is_most: bool = False

    def is_met(self, value: float) -> bool:
        """Whether the floor is."""
        return value <= self.floor if self.is_most else value >= self.floor


class Figure(Struct, frozen=True):
    """One thing that was measured: a value a round, and what it is held against in that round:
    the bare loop, or for a figure on Kafka the same on Redis.
    """

    name: str
    unit: str
    values: Sequence[float]
    bare: Sequence[float] = ()
    wanted: Wanted | None = None

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """Median of the rounds' own ratios to what it is held against."""
        if not self.bare:
            return None
        return statistics.median(
            value / bare for value, bare in zip(self.values, self.bare, strict=True)
        )

    @property
    def holds(self) -> bool | None:
        """Whether the floor is met; None where there is none, or no bare loop to hold it to."""
        if self.wanted is None:
            return None
        judged = self.ratio if self.wanted.is_ratio else self.median
        return None if judged is None else self.wanted.is_met(judged)


class Report(Struct, frozen=True):
    """All figures of a run, what the engines said of their durability, and of the machine."""

    figures: Sequence[Figure]
    durability: Mapping[str, str]
    machine: Mapping[str, str]


def written(report: Report) -> bytes:
    """The report as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def read(path: Path) -> Report:
    """A report that was written before. Raises Misconfigured."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError) as error:
        raise Misconfigured(f"{path} is no report: {error}", "name a file of --json") from error


def rows(report: Report, older: Report | None = None) -> Iterator[Rows]:
    """A row a figure: name, median with spread, ratio, floor and goal, change since."""
    before = {figure.name: figure for figure in older.figures} if older else {}
    for figure in report.figures:
        yield (
            figure.name,
            f"{_shown(figure.median)} {figure.unit} ({_shown(min(figure.values))} to "
            f"{_shown(max(figure.values))})",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            _wanted(figure),
            _change(figure, before.get(figure.name)),
        )


def _wanted(figure: Figure) -> str:
    if figure.wanted is None:
        return ""
    mark = {True: "met", False: "MISSED", None: "?"}[figure.holds]
    sign = "at most" if figure.wanted.is_most else "at least"
    floor, goal = _shown(figure.wanted.floor), _shown(figure.wanted.goal)
    what = " of bare" if figure.wanted.is_ratio else ""
    return f"{mark}: {sign} {floor}{what}, goal {goal}"


def _change(figure: Figure, before: Figure | None) -> str:
    if before is None or not before.median:
        return ""
    return f"{(figure.median / before.median - 1) * 100:+.0f} %"


_SMALL: Final = 100


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _SMALL else f"{value:.2f}".rstrip("0").rstrip(".")
