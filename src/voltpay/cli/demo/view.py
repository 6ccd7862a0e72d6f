"""The live view of the demo: rates, backlog, processors; plain lines without a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

from voltpay.services.routing.api import ProcessorView

_PLAIN_EVERY_S: Final = 3.0
_COLOURS: Final = {"closed": "green", "open": "red", "half-open": "yellow"}


@dataclass
class Picture:
    """What is shown: one look at a running installation."""

    elapsed_s: float = 0.0
    seconds: float = 60.0
    title: str = "starting"
    rate_per_s: float = 0.0
    done_per_s: float = 0.0
    accepted: int = 0
    finished: int = 0
    repeats: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    backlogs: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0
    unknown_ever: int = 0
    processors: Sequence[ProcessorView] = ()

    def line(self) -> str:
        """One plain line."""
        states = " ".join(f"{each.name}={each.breaker}" for each in self.processors)
        waiting = sum(self.backlogs.values())
        return (
            f"{self.elapsed_s:5.0f}s {self.title:<20} in {self.rate_per_s:5.0f}/s "
            f"done {self.done_per_s:5.0f}/s accepted {self.accepted:,} finished {self.finished:,} "
            f"waiting {waiting:,} unknown {self.unknown} p99 {self.p99_ms:.1f} ms {states}"
        )


class View:
    """Shows pictures on a terminal, or a plain line every few seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=False)
        self._plain_at = 0.0

    def __enter__(self) -> "View":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, picture: Picture, *, is_last: bool = False) -> None:
        """Show it; the last one in any case."""
        if self._console.is_terminal:
            self._live.update(_drawn(picture))
        elif is_last or monotonic() - self._plain_at >= _PLAIN_EVERY_S:
            self._plain_at = monotonic()
            self._console.print(picture.line(), highlight=False, soft_wrap=True)


def _drawn(picture: Picture) -> RenderableType:
    flow = Table.grid(padding=(0, 3))
    flow.add_row("accepted", f"{picture.accepted:,}", f"{picture.rate_per_s:,.0f}/s")
    flow.add_row("finished", f"{picture.finished:,}", f"{picture.done_per_s:,.0f}/s")
    flow.add_row("repeats", f"{picture.repeats:,}", "")
    flow.add_row("answer p50 / p99", f"{picture.p50_ms:.1f} / {picture.p99_ms:.1f} ms", "")
    flow.add_row("unknown outcomes", f"{picture.unknown:,} now", f"{picture.unknown_ever:,} ever")
    waiting = Table("waiting in", "records", box=None)
    for topic, count in picture.backlogs.items():
        waiting.add_row(topic, f"{count:,}")
    bar = ProgressBar(total=picture.seconds, completed=min(picture.elapsed_s, picture.seconds))
    sheet = Table.grid(padding=(0, 4))
    sheet.add_row(flow, waiting)
    title = f"voltpay demo · {picture.elapsed_s:.0f} s · {picture.title}"
    return Panel(Group(bar, sheet, _processors(picture.processors)), title=title)


def _processors(processors: Sequence[ProcessorView]) -> Table:
    table = Table("processor", "breaker", "latency", "in flight", "limit", "share", box=None)
    for each in processors:
        breaker = each.breaker or "not routed"
        table.add_row(
            each.name,
            f"[{_COLOURS.get(breaker, 'white')}]{breaker}[/]",
            f"{each.latency_ms} ms",
            str(each.in_flight),
            str(each.limit),
            f"{100 * each.share:.0f} %",
        )
    return table
