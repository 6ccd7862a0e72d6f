"""`voltpay up` and `voltpay run`: the roles, with embedded engines or against those of settings."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from voltpay.app.prepare import prepare
from voltpay.app.roles import ROLES, UP, Role, role_named
from voltpay.app.run import Address, run_role
from voltpay.app.settings import Settings, read_settings
from voltpay.cli.installation import (
    SANDBOX_PORTS,
    ConfigOption,
    DataOption,
    data_folder,
    remember,
    with_sandbox,
    with_urls,
)
from voltpay.cli.ports import refuse_taken
from voltpay.cli.sandboxes import journal_of
from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.engines.embedded import EmbeddedEngines, secret
from voltpay.foundation.runtime import lifecycle
from voltpay.foundation.runtime.supervisor import Child, Supervisor
from voltpay.processors.sandbox.serve import serve_sandbox
from voltpay.processors.settings import ProcessorSettings

_RUN_FOLDER: Final = "run"
_LOG_FILE: Final = "voltpay.log"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(up)
    app.command()(run)


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
) -> None:
    """Start Voltpay: embedded PostgreSQL and Valkey, all roles, and two sandbox processors.

    Sandbox processors are left out where the settings name processors. Ctrl-C drains and stops.
    """
    ports = () if no_sandbox else _ports_of(sandbox_ports)
    settings = read_settings(config, {"host": host, "port": port})
    house = Installation(data_folder(data), settings, ports)
    raise SystemExit(house.run())


def run(
    roles: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(r.name for r in ROLES)}")],
    config: ConfigOption = None,
    host: Annotated[str, typer.Option(help="Where the roles listen")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Instead of the role's own port, for one role only")
    ] = None,
) -> None:
    """Run roles in this process, against the engines of the settings."""
    settings = read_settings(config)
    if settings.is_embedded:
        raise Misconfigured(
            "`voltpay run` needs engines",
            "set VOLTPAY_LOG_URL, VOLTPAY_CACHE_URL and VOLTPAY_DATABASE_URL, or use `voltpay up`",
        )
    rows = [_role(name) for name in roles]
    if port is not None and len(rows) > 1:
        raise Misconfigured("--port goes with one role", "run each role by a command of its own")

    async def main(life: lifecycle.Lifecycle) -> None:
        async with asyncio.TaskGroup() as group:
            for row in rows:
                address = Address(host, port or row.port or settings.port)
                group.create_task(run_role(row, settings, address, life))

    lifecycle.run_role(
        "+".join(roles),
        main,
        set_up_logs=lambda: lifecycle.configure_logging(settings.log_level, "+".join(roles)),
    )


@dataclass
class Installation:
    """What `voltpay up` runs: engines in a folder, roles, and sandbox processors on `ports`."""

    data: Path
    settings: Settings
    ports: tuple[int, ...]
    say: Callable[[str], None] = typer.echo

    def run(self) -> int:
        """Run until a signal; gives the exit code."""
        engines = self._start_engines()
        try:
            self._set_up_logs("supervisor")
            self._in_child(partial(prepare, self.settings))
            supervisor = Supervisor(
                self._children(), tick=self._tick(engines), on_ready=self._on_ready()
            )
            return supervisor.run()
        finally:
            if engines is not None:
                engines.stop()

    def _start_engines(self) -> EmbeddedEngines | None:
        self.settings = with_sandbox(self.settings, self.ports)
        self._refuse_taken_ports()
        if not self.settings.is_embedded:
            self.data.mkdir(parents=True, exist_ok=True)
            return None
        engines = EmbeddedEngines(
            self.data,
            log_memory_bytes=self.settings.log_memory_bytes,
            cache_memory_bytes=self.settings.cache_memory_bytes,
        )
        self.say(f"starting PostgreSQL and Valkey in {self.data}")
        self.settings = with_urls(self.settings, engines.start(), secret(self.data))
        remember(self.data, self.ports)
        return engines

    def _refuse_taken_ports(self) -> None:
        wanted = [(self.settings.host, self.settings.port, "--port")]
        wanted += [("127.0.0.1", port, "--sandbox-ports") for port in self._sandbox_ports()]
        taken: set[int] = set()
        for host, port, flag in wanted:
            if port in taken:
                raise Misconfigured(f"port {port} is given twice", f"choose another with {flag}")
            taken.add(port)
            refuse_taken(host, port, flag)

    def _sandbox_ports(self) -> tuple[int, ...]:
        return self.ports if self.settings.sandbox else ()

    def _in_child(self, work: Callable[[], object]) -> None:
        """Run it in a forked process: the supervisor itself never opens a connection."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            os._exit(_told(work, write))
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as told:
            wrong = told.read()
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            what, _, mend = wrong.partition("\n")
            raise Misconfigured(what or "the installation cannot be prepared", mend or "see above")

    def _children(self) -> list[Child]:
        folder = self.data / _RUN_FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        roles = [role for role in map(role_named, UP) if role is not None]
        children = [self._role_child(role, folder) for role in roles]
        for processor, port in zip(self.settings.processors, self._sandbox_ports(), strict=False):
            children.append(self._sandbox_child(processor, port))
        return children

    def _role_child(self, role: Role, folder: Path) -> Child:
        address = Address(self.settings.host, self.settings.port)
        if role.name != "api":
            address = Address(socket=folder / f"{role.name}.sock")

        def start() -> None:
            lifecycle.run_role(
                role.name,
                partial(run_role, role, self.settings, address),
                set_up_logs=partial(self._set_up_logs, role.name),
            )

        return Child(role.name, start)

    def _sandbox_child(self, processor: ProcessorSettings, port: int) -> Child:
        name = f"sandbox {processor.name}"
        journal = journal_of(self.data, processor.name)

        def start() -> None:
            lifecycle.run_role(
                name,
                partial(serve_sandbox, processor, journal, port),
                set_up_logs=partial(self._set_up_logs, name),
            )

        return Child(name, start)

    def _set_up_logs(self, name: str) -> None:
        lifecycle.configure_logging(self.settings.log_level, name, path=self.data / _LOG_FILE)

    def _tick(self, engines: EmbeddedEngines | None) -> Callable[[], None]:
        def tick() -> None:
            for name in engines.check() if engines else ():
                self.say(f"{name} had died and was started again")

        return tick

    def _on_ready(self) -> Callable[[str], None]:
        addresses = self._addresses()
        seen: set[str] = set()

        def on_ready(name: str) -> None:
            again = " again" if name in seen else ""
            seen.add(name)
            self.say(f"{name:<18} ready{again}   {addresses[name]}")
            if not again and len(seen) == len(addresses):
                self.say(self._next_step())

        return on_ready

    def _addresses(self) -> dict[str, str]:
        addresses = {name: str(self.data / _RUN_FOLDER / f"{name}.sock") for name in UP}
        addresses["api"] = f"http://{self.settings.host}:{self.settings.port}"
        for processor, _ in zip(self.settings.processors, self._sandbox_ports(), strict=False):
            addresses[f"sandbox {processor.name}"] = processor.url
        return addresses

    def _next_step(self) -> str:
        address = f"http://{self.settings.host}:{self.settings.port}"
        return (
            f"Voltpay is up. Logs: {self.data / _LOG_FILE}. Ctrl-C stops it. Make a payment:\n"
            f"  curl -i {address}/payments -H 'Content-Type: application/json' \\\n"
            '    -d "{\\"correlationId\\": \\"$(cat /proc/sys/kernel/random/uuid)\\", '
            '\\"amount\\": 19.90, \\"accountId\\": \\"alice\\"}"\n'
            f"  curl {address}/accounts/alice/balance"
        )


def _told(work: Callable[[], object], write: int) -> int:
    try:
        work()
    except Misconfigured as error:
        os.write(write, f"{error.wrong}\n{error.mend}".encode())
        return 2
    except Unavailable as error:
        os.write(write, f"{error.detail}\nsee its log in the data folder".encode())
        return 2
    except Exception as error:  # noqa: BLE001 - nothing of the parent may run in this child
        os.write(write, f"it cannot be prepared: {error}\nsee the logs in its folder".encode())
        return 1
    return 0


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
