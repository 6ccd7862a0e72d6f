"""`voltpay up` and `voltpay run`: the roles, with embedded engines or against those of settings."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from voltpay.app.engines import refuse_wrong_urls
from voltpay.app.roles import ROLES, Role, role_named
from voltpay.app.run import run_role
from voltpay.app.serving import Address
from voltpay.app.settings import Settings, read_settings
from voltpay.cli.installation import (
    SANDBOX_PORTS,
    ConfigOption,
    DataOption,
    data_folder,
    located,
    refuse_newer_schema,
)
from voltpay.cli.logins import await_login
from voltpay.cli.sandboxes import processor_of
from voltpay.cli.together import Installation
from voltpay.core.errors import Misconfigured
from voltpay.foundation.runtime import lifecycle
from voltpay.processors.sandbox.serve import LOOPBACK, serve_sandbox


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(up)
    app.command()(run)
    app.command()(sandbox)
    app.command(hidden=True)(child)


def up(
    data: DataOption = None,
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Where the API listens")] = None,
    port: Annotated[int | None, typer.Option(help="Where the API listens")] = None,
    sandbox_ports: Annotated[
        str, typer.Option(help="Ports of the sandbox processors default and fallback")
    ] = "8001,8002",
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Start no sandbox processors")
    ] = False,
    replica: Annotated[
        bool,
        typer.Option("--replica", help="Start a standby of PostgreSQL, too: inquiries read it"),
    ] = False,
    spawn: Annotated[
        bool, typer.Option("--spawn", help="Start roles afresh instead of forking; so on macOS")
    ] = False,
) -> None:
    """Start Voltpay: embedded PostgreSQL and Valkey, all roles, and two sandbox processors.

    Sandbox processors are left out where the settings name processors. Ctrl-C drains and stops.
    """
    ports = () if no_sandbox else _ports_of(sandbox_ports)
    settings = read_settings(config, {"host": host, "port": port})
    house = Installation(data_folder(data), settings, ports, config)
    house.replica = replica
    house.spawns = house.spawns or spawn
    raise SystemExit(house.run())


def child(
    name: Annotated[str, typer.Argument(help="A role, or a sandbox processor")],
    data: Annotated[Path, typer.Option(help="Folder of the installation that runs")],
    host: Annotated[str, typer.Option(help="Where the API listens")],
    port: Annotated[int, typer.Option(help="Where the API listens")],
    config: ConfigOption = None,
) -> None:
    """Be one role of the `voltpay up` that runs on a folder: how it starts them afresh."""
    with located(data, config) as installation:
        settings = installation.settings.model_copy(update={"host": host, "port": port})
        ports = tuple(int(each.url.rpartition(":")[2]) for each in settings.processors)
        is_embedded = read_settings(config).is_embedded
        house = Installation(data, settings, ports, config, embedded=is_embedded)
        role = next((each for each in house.children() if each.name == name), None)
        if installation.resting or role is None:
            raise Misconfigured(f"no {name} runs here", "start `voltpay up`")
        role.run()


def run(
    roles: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(r.name for r in ROLES)}")],
    config: ConfigOption = None,
    host: Annotated[
        str | None, typer.Option(help="Where the roles listen; default: host of the settings")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Instead of the role's own port, for one role only"),
    ] = None,
) -> None:
    """Run roles in this process, against the engines of the settings."""
    rows = [_role(name) for name in roles]
    if port is not None and len(rows) > 1:
        raise Misconfigured("--port goes with one role", "run each role by a command of its own")
    settings = _settings_with_engines(config)

    async def main(life: lifecycle.Lifecycle) -> None:
        async with asyncio.TaskGroup() as group:
            for row in rows:
                address = Address(host or settings.host, port or row.port or settings.port)
                group.create_task(run_role(row, settings, address, life))

    lifecycle.run_role(
        "+".join(roles),
        main,
        set_up_logs=lambda: lifecycle.configure_logging(settings.log_level, "+".join(roles)),
        leave_s=settings.leave_ms / 1000,
    )


def sandbox(
    name: Annotated[str, typer.Argument(help="Of the processor, as in default")],
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Where it listens")],
    journal: Annotated[Path, typer.Option(help="File of what it executed; made if there is none")],
    host: Annotated[str, typer.Option(help="Where it listens")] = LOOPBACK,
    fee: Annotated[str, typer.Option(help="Of the amount, as a fraction")] = "0.05",
    currency: Annotated[str, typer.Option(help="ISO 4217 code that it takes")] = "EUR",
) -> None:
    """Be one simulated processor, for an installation whose services run apart."""
    address = f"http://{host}:{port}"
    processor = processor_of({"name": name, "url": address, "fee": fee, "currency": currency})

    async def main(life: lifecycle.Lifecycle) -> None:
        await serve_sandbox(processor, journal.absolute(), port, life, host)

    title = f"sandbox {name}"
    lifecycle.run_role(title, main, set_up_logs=lambda: lifecycle.configure_logging("info", title))


def _settings_with_engines(config: Path | None) -> Settings:
    """The settings, unless their engines can never be used; those that are away are waited for."""
    settings = read_settings(config)
    if settings.is_embedded:
        raise Misconfigured(
            "`voltpay run` needs engines",
            "set VOLTPAY_LOG_URL, VOLTPAY_CACHE_URL and VOLTPAY_DATABASE_URL, or use `voltpay up`",
        )
    refuse_wrong_urls(settings)
    await_login(settings)
    refuse_newer_schema(settings)
    return settings


def _ports_of(text: str) -> tuple[int, ...]:
    try:
        ports = tuple(int(part) for part in text.split(","))
    except ValueError:
        ports = ()
    if len(ports) != len(SANDBOX_PORTS) or not all(0 < port <= 65_535 for port in ports):
        raise Misconfigured(f"--sandbox-ports is {text}", "give two ports, as in 8001,8002")
    return ports


def _role(name: str) -> Role:
    role = role_named(name)
    if role is None:
        known = ", ".join(row.name for row in ROLES)
        raise Misconfigured(f"there is no role {name}", f"choose of {known}")
    return role
