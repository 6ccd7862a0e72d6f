"""Commands that show: topology, errors, config, doctor, version. They change nothing."""

import re
from collections.abc import Sequence
from typing import Final

import typer
from pydantic import SecretStr

from voltpay import __version__
from voltpay.app.origins import origin_of
from voltpay.app.settings import PREFIX, read_settings
from voltpay.app.settings_file import Layer, layers
from voltpay.app.topology import STAGES, TOPICS
from voltpay.cli.errors import errors
from voltpay.cli.installation import ConfigOption, DataOption

_OK: Final = "ok"
_MASK: Final = "********"
_PASSWORD: Final = re.compile(r"(://[^/@\s]*?:)[^/@\s]+@")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(topology)
    app.command()(errors)
    app.command()(config)
    app.command()(doctor)
    app.command()(version)


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def tell_version(is_asked: bool) -> None:
    """Print the version and end, if `--version` was given."""
    if is_asked:
        version()
        raise typer.Exit


def topology() -> None:
    """Print the topics and the stages, and the picture of a payment's way."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    topics = Table("topic", "message", "order", "what", title="Topics")
    for topic in TOPICS:
        order = "by account" if topic.ordered else "none"
        topics.add_row(f"payment.{topic.name}", topic.message.__name__, order, topic.what)
    stages = Table("stage", "reads", "writes", "group", "role", title="Stages")
    for stage in STAGES:
        stages.add_row(
            stage.name, ", ".join(stage.reads), ", ".join(stage.writes), stage.group, stage.role
        )
    console.print(topics, stages)
    console.print(picture(), markup=False, highlight=False)


def picture() -> str:
    """The way of a payment, drawn from the registered stages."""
    lines = ["POST /payments", "   │  ingest", "   ▼"]
    for topic in TOPICS:
        readers = [stage for stage in STAGES if topic.name in stage.reads]
        lines.append(f"payment.{topic.name}")
        for stage in readers:
            writes = ", ".join(f"payment.{name}" for name in stage.writes) or "its store"
            lines.append(f"   └─ {stage.name} ({stage.role}) ──▶ {writes}")
    return "\n".join(lines)


def config(file: ConfigOption = None) -> None:
    """Print the settings in force, secrets masked: each one's variable, and where it came from."""
    _print_model(read_settings(file), (), layers(file))


def _print_model(model: object, path: tuple[str, ...], found: Sequence[Layer]) -> None:
    from pydantic import BaseModel

    assert isinstance(model, BaseModel)
    indent = "  " * len(path)
    for name in type(model).model_fields:
        value, names = getattr(model, name), (*path, name)
        if isinstance(value, BaseModel):
            typer.echo(f"{indent}{name}:")
            _print_model(value, names, found)
            continue
        variable, origin = PREFIX + "__".join(names).upper(), origin_of(names, PREFIX, found)
        typer.echo(f"{indent}{name} = {_masked(value)}    {variable}    from: {origin}")


def _masked(value: object) -> object:
    """The value as it may be shown: secrets, and passwords within addresses, are not."""
    if isinstance(value, SecretStr):
        return _MASK if value.get_secret_value() else ""
    return _PASSWORD.sub(rf"\g<1>{_MASK}@", str(value).replace("**********", _MASK))


def doctor(data: DataOption = None, config: ConfigOption = None) -> None:
    """Check each engine of an installation, and say what is wrong and how to mend it."""
    from voltpay.cli.checks import check_all

    findings = check_all(data, config)
    for finding in findings:
        typer.echo(f"{finding.name:<12} {finding.verdict}")
    if any(finding.verdict != _OK for finding in findings):
        raise SystemExit(1)
