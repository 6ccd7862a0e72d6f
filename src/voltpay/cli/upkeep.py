"""Commands that keep an installation: migrate, rebuild, reconcile, clean."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from voltpay.app.house import House
from voltpay.app.prepare import prepare
from voltpay.app.settings import Settings, read_settings
from voltpay.cli.installation import ConfigOption, DataOption, data_folder, found, with_house
from voltpay.cli.reconciling import reconcile as reconcile_house
from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded import installed_urls
from voltpay.migrations import migrate_down, newer_than_this, status
from voltpay.services.reconciliation.history import read_history
from voltpay.services.reconciliation.report import json_of, lines_of
from voltpay.services.reconciliation.sources import Window
from voltpay.services.reconciliation.verdict import Verdict

_ACTIONS: Final = ("up", "down", "status")
_FAR_MS: Final = 253_402_300_799_999


_SinceOption = Annotated[
    str | None, typer.Option("--from", help="requestedAt, RFC 3339, inclusive")
]
_UntilOption = Annotated[str | None, typer.Option("--to", help="requestedAt, RFC 3339, inclusive")]
_HistoryOption = Annotated[
    Path | None, typer.Option(help="What a client asked for and was told, as JSON lines")
]
_JsonOption = Annotated[Path | None, typer.Option(help="Write the whole verdict here, too")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(migrate)
    app.command()(rebuild)
    app.command()(reconcile)
    app.command()(clean)


def migrate(
    action: Annotated[str, typer.Argument(help="up, down or status")] = "status",
    revision: Annotated[
        str, typer.Argument(help="down: the revision to go back to, as in 0004, or base")
    ] = "",
    destroy_data: Annotated[
        bool, typer.Option("--destroy-data", help="down: yes, drop the tables and what they hold")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring the schema and the log up to date, take revisions back, or say which are applied."""
    if action not in _ACTIONS:
        raise Misconfigured(f"migrate does not know {action}", "use up, status, or down REVISION")
    if action == "down":
        _refuse_careless(revision, destroy_data, data, config)
    with found(data, config) as settings:
        url = settings.database_url.get_secret_value()
        match action:
            case "up":
                applied = prepare(settings)
                typer.echo(f"applied: {', '.join(applied) or 'nothing, all was up to date'}")
            case "down":
                migrate_down(url, revision)
                typer.echo(f"back at {revision}; what the tables held is gone")
            case _:
                _tell_status(url)


def _tell_status(url: str) -> None:
    for step in status(url):
        when = f"applied {step.applied_at} by {step.who}" if step.applied_at else "-"
        changed = "  CHANGED SINCE" if step.is_changed else ""
        typer.echo(f"{step.revision} {step.name:<24} {when}{changed}")
    for revision in newer_than_this(url):
        typer.echo(f"{revision} of a newer release, which this one can go on beside")


def _refuse_careless(
    revision: str, destroy_data: bool, data: Path | None, config: Path | None
) -> None:
    """Going down drops tables: only when it is meant, and under no running roles of ours."""
    if not revision:
        raise Misconfigured("down needs a revision", "name it, as in 0004, or base")
    if not destroy_data:
        raise Misconfigured(
            "going down drops tables with all they hold, books included",
            "add --destroy-data if that is meant",
        )
    if read_settings(config).is_embedded and installed_urls(data_folder(data)) is not None:
        raise Misconfigured("`voltpay up` runs on it", "stop it first")


def rebuild(data: DataOption = None, config: ConfigOption = None) -> None:
    """Build the read model anew from the ledger, beside the one in use, and swap them."""
    from rich.progress import Progress

    async def work(house: House, _: Settings) -> int:
        with Progress() as bar:
            task = bar.add_task("rebuilding", total=await house.ledger.estimate())
            return await house.inquiry.rebuild(
                house.ledger.facts, lambda done: bar.update(task, completed=done)
            )

    count = with_house(data, config, work)
    typer.echo(f"rebuilt from {count:,} facts")


def reconcile(
    since: _SinceOption = None,
    until: _UntilOption = None,
    history: _HistoryOption = None,
    json: _JsonOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Hold log, attempts, ledger, read model and the processors' journals against each other.

    With a client's history, its promises, too. Exit code 1 if anything does not add up; each
    difference is named with its payment. What is still on its way is one, but not with --to.
    """
    if history and (since or until):
        raise Misconfigured("a history has no window", "leave out --from and --to")
    window = Window(_ms_of(since, "--from", 0), _ms_of(until, "--to", _FAR_MS))
    if window.from_ms > window.to_ms:
        raise Misconfigured(f"--from {since} is after --to {until}", "swap them")
    asked = read_history(history) if history else ()

    async def work(house: House, settings: Settings) -> Verdict:
        is_drained = until is None
        return await reconcile_house(house, settings, window, asked=asked, is_drained=is_drained)

    verdict = with_house(data, config, work, reads_journals=True)
    if json is not None:
        json.write_bytes(json_of(verdict))
    tell(verdict, typer.echo)


def clean(data: DataOption = None, config: ConfigOption = None) -> None:
    """Drop the ledger's idempotency rows that are older than a week; the ledger does it daily."""

    async def work(house: House, _: Settings) -> None:
        await house.ledger.clean()

    with_house(data, config, work)
    typer.echo("the ledger's idempotency rows are as young as the setting says")


def tell(verdict: Verdict, say: Callable[[str], None]) -> None:
    """Say the verdict; exit with 1 if it does not hold."""
    for line in lines_of(verdict):
        say(line)
    if not verdict.holds:
        raise SystemExit(1)


def _ms_of(text: str | None, flag: str, default_ms: int) -> int:
    if text is None:
        return default_ms
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise Misconfigured(f"{flag} has no zone", "end it with Z")
        return int(moment.astimezone(UTC).timestamp() * 1000)
    except (OverflowError, ValueError) as error:
        raise Misconfigured(f"{flag} is {text}", "give it as in 2030-01-31T08:00:00Z") from error
