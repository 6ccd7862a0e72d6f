"""`voltpay dead …`: look at dead letters, replay or discard them."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.installation import ConfigOption, DataOption, with_house
from voltpay.core.errors import Misconfigured
from voltpay.foundation.runtime.http import json_bytes
from voltpay.services.dead.replay import LetterUnknown

T = TypeVar("T")

app = typer.Typer(help="Look at dead letters, replay or discard them.", no_args_is_help=True)

LetterArgument = Annotated[int, typer.Argument(help="Number of the letter, as `dead list` shows")]


@app.command("list")
def list_letters(
    stage: Annotated[str | None, typer.Option(help="Only those of this stage")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first")] = 50,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """List dead letters, newest first."""
    from rich.console import Console
    from rich.table import Table

    async def work(house: House, _: Settings) -> list[tuple[str, ...]]:
        letters = await house.dead.desk.listed(stage, limit)
        return [
            (str(each.id), each.stage, each.state, str(each.payment_id or "-"), each.error)
            for each in letters.items
        ]

    rows = with_house(data, config, work)
    table = Table("letter", "stage", "state", "payment", "error")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    typer.echo("voltpay dead show LETTER, replay LETTER, discard LETTER --reason …")


@app.command()
def show(letter: LetterArgument, data: DataOption = None, config: ConfigOption = None) -> None:
    """Show one letter: what was buried, where, why, how often; no personal data."""

    async def work(house: House, _: Settings) -> str:
        shown = await house.dead.desk.show(letter)
        return msgspec.json.format(json_bytes(shown), indent=2).decode()

    typer.echo(_with_letter(data, config, work))


@app.command()
def replay(letter: LetterArgument, data: DataOption = None, config: ConfigOption = None) -> None:
    """Give the message to its stage again. Repeating it is safe: it has one effect."""

    async def work(house: House, _: Settings) -> None:
        await house.dead.desk.replay(letter)

    _with_letter(data, config, work)
    typer.echo(f"letter {letter} is on its way again")


@app.command()
def discard(
    letter: LetterArgument,
    reason: Annotated[str, typer.Option(help="Why it needs nothing done; kept with the letter")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Close a letter without replaying it. Refused while its payment has an open attempt."""

    async def work(house: House, _: Settings) -> None:
        await house.dead.desk.discard(letter, reason)

    _with_letter(data, config, work)
    typer.echo(f"letter {letter} is discarded")


def _with_letter(
    data: Path | None,
    config: Path | None,
    work: Callable[[House, Settings], Coroutine[object, object, T]],
) -> T:
    try:
        return with_house(data, config, work)
    except LetterUnknown as error:
        raise Misconfigured(error.detail, "`voltpay dead list` shows which there are") from error
