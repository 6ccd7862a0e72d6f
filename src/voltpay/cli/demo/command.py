"""`voltpay demo`: start a whole Voltpay, play the scenario under load, drain, reconcile."""

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from voltpay.app.settings import Settings
from voltpay.cli.demo.load import Load
from voltpay.cli.demo.scenario import SHARES
from voltpay.cli.demo.show import Show
from voltpay.cli.demo.view import View
from voltpay.cli.installation import found, opened_house
from voltpay.cli.reconciling import drained, reconcile
from voltpay.cli.trial import free_ports, started
from voltpay.processors.sandbox.control import SandboxControl
from voltpay.services.reconciliation.history import History, read_history
from voltpay.services.reconciliation.report import lines_of
from voltpay.services.reconciliation.sources import Window
from voltpay.services.reconciliation.verdict import Verdict

RATE_PER_S: Final = 360.0
HISTORY_FILE: Final = "history.jsonl"
_DRAIN_S: Final = 240.0


@dataclass(frozen=True)
class Plan:
    """What a demo sends, where, and where its client keeps its history."""

    url: str
    seconds: float
    seed: int
    rate_per_s: float
    history: Path


@dataclass(frozen=True)
class Findings:
    """What a demo must have shown besides its verdict."""

    unknown_ever: int
    breaker_cycles: int
    is_drained: bool


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    seconds: Annotated[float, typer.Option(min=6, help="How long the traffic lasts")] = 60,
    seed: Annotated[int, typer.Option(help="Draws payments, repeats and faults")] = 1,
    rate: Annotated[float, typer.Option(min=1, max=2_000, help="Payments a second")] = RATE_PER_S,
    data: Annotated[
        Path | None, typer.Option(help="Keep the installation here; default: a temporary folder")
    ] = None,
) -> None:
    """Show Voltpay at work: real traffic while processors fail, then the reconciliation.

    Starts an installation of its own. Exit code 1 if anything does not add up.
    """
    # Ended by SIGTERM, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    folder = data or Path(tempfile.mkdtemp(prefix="voltpay-demo-"))
    ports = free_ports(3)
    try:
        with started(folder, ports, console), found(folder, None) as settings:
            plan = Plan(f"http://127.0.0.1:{ports[0]}", seconds, seed, rate, folder / HISTORY_FILE)
            verdict, findings = asyncio.run(_play(settings, plan, console))
        _tell(console, verdict, findings)
        if not (verdict.holds and findings.is_drained):
            raise SystemExit(1)
        console.print("\nNext: `make up`, or `voltpay up`, and pay yourself", highlight=False)
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


async def _play(settings: Settings, plan: Plan, console: Console) -> tuple[Verdict, Findings]:
    async with opened_house(settings, "demo") as house, contextlib.AsyncExitStack() as stack:
        controls = [
            await stack.enter_async_context(SandboxControl(each.url))
            for each in settings.processors
        ]
        for control in controls:
            await control.set_faults(SHARES, seed=plan.seed)
        history = stack.enter_context(History(plan.history))
        load = Load(plan.url, rate_per_s=plan.rate_per_s, seed=plan.seed, history=history)
        show = Show(house, settings, load, controls, plan.seconds)
        with View(console) as view:
            watching = asyncio.create_task(show.run(view))
            await load.run(plan.seconds)
            show.has_ended = True
            for control in controls:
                await control.set_delay(0)
                await control.set_failure(False)
            is_drained = await drained(house, settings, _DRAIN_S, show.note)
            await show.finish(watching)
        verdict = await reconcile(house, settings, Window(), asked=read_history(plan.history))
        return verdict, Findings(
            await house.routing.census.unknown_ever(), show.breaker_cycles, is_drained
        )


def _tell(console: Console, verdict: Verdict, findings: Findings) -> None:
    console.print()
    console.print(f"unknown outcomes resolved    {findings.unknown_ever:>10,}", highlight=False)
    console.print(f"full breaker cycles          {findings.breaker_cycles:>10,}", highlight=False)
    for line in lines_of(verdict):
        console.print(line, highlight=False, soft_wrap=True)
    if not findings.is_drained:
        console.print(f"It did not drain within {_DRAIN_S:.0f} s.", highlight=False)
