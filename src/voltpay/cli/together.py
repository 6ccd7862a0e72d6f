"""What `voltpay up` runs together: engines in a folder, roles, and sandbox processors."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import typer
from pydantic import SecretStr

from voltpay.app.prepare import prepare
from voltpay.app.rights import as_service, passwords_of
from voltpay.app.roles import SANDBOX_NICENESS, UP, Role, role_named
from voltpay.app.run import run_role
from voltpay.app.serving import Address, rehearse
from voltpay.app.settings import Settings
from voltpay.cli.installation import remember, with_sandbox, with_urls
from voltpay.cli.ports import refuse_taken
from voltpay.cli.reach import explained
from voltpay.cli.sandboxes import journal_of
from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.engines.embedded import EmbeddedEngines, installed_urls, secret, was_killed
from voltpay.foundation.engines.embedded.files import told_plainly
from voltpay.foundation.engines.embedded.folder import folder_of
from voltpay.foundation.engines.embedded.locks import Ownership
from voltpay.foundation.runtime import lifecycle
from voltpay.foundation.runtime.starting import spawn
from voltpay.foundation.runtime.supervisor import Child, Supervisor
from voltpay.processors.sandbox.serve import serve_sandbox
from voltpay.processors.settings import ProcessorSettings

_RUN_FOLDER: Final = "run"
_COURTESY_FILE: Final = "courtesy"
_LOG_FILE: Final = "voltpay.log"
_ORPHANS_S: Final = 5.0


@dataclass
class Installation:
    """What `voltpay up` runs: engines in a folder, roles, and sandbox processors on `ports`."""

    data: Path
    settings: Settings
    ports: tuple[int, ...]
    config: Path | None = None
    embedded: bool = False
    replica: bool = False
    spawns: bool = sys.platform != "linux"
    say: Callable[[str], None] = typer.echo

    def run(self) -> int:
        """Run until a signal; gives the exit code."""
        engines = self._start_engines()
        owned: Ownership | None = None
        try:
            self._in_child(partial(self._prepare, engines))
            owned = self._own_folder() if engines is None else None
            self._set_up_logs("supervisor")
            if not self.spawns:
                rehearse(self.settings)
            supervisor = Supervisor(
                self.children(),
                tick=self._tick(engines),
                on_ready=self._on_ready(),
                start=spawn if self.spawns else None,
            )
            code = supervisor.run()
            self.say("drained and stopped")
            return code
        finally:
            if engines is not None:
                engines.stop()
            if owned is not None:
                owned.give_back()

    def _prepare(self, engines: EmbeddedEngines | None) -> None:
        settings = self.settings
        if engines is not None:
            passwords = passwords_of(settings.secret.get_secret_value())
            given = {name: SecretStr(one) for name, one in passwords.items()}
            settings = settings.model_copy(update={"service_passwords": given})
        with explained(settings, self.data if engines else None):
            prepare(settings)

    def _own_folder(self) -> Ownership:
        """The folder of logs and sockets, where the engines are elsewhere."""
        folder_of(self.data).prepare()
        ownership = Ownership(self.data)
        with told_plainly(self.data):
            ownership.take()
        return ownership

    def _start_engines(self) -> EmbeddedEngines | None:
        self.settings = with_sandbox(self.settings, self.ports)
        self._refuse_what_cannot_be()
        self._refuse_taken_ports()
        if not self.settings.is_embedded:
            return None
        engines = EmbeddedEngines(
            self.data,
            log_memory_bytes=self.settings.log_memory_bytes,
            cache_memory_bytes=self.settings.cache_memory_bytes,
            with_replica=self.replica,
        )
        standby = " with a standby" if self.replica else ""
        self.say(f"starting PostgreSQL{standby} and Valkey in {self.data}")
        urls = engines.start()
        try:
            self.settings = with_urls(self.settings, urls, secret(self.data))
            self.embedded = True
            remember(self.data, self.ports)
        except BaseException:
            engines.stop()
            raise
        return engines

    def _refuse_what_cannot_be(self) -> None:
        if self.settings.is_embedded and installed_urls(self.data) is not None:
            raise Misconfigured(
                f"{self.data} is in use by another voltpay up", "stop it, or choose another --data"
            )
        if self.replica and not self.settings.is_embedded:
            raise Misconfigured(
                "--replica starts a standby of the embedded PostgreSQL; the settings name another",
                "name its standbys in VOLTPAY_REPLICA_URLS",
            )

    def _refuse_taken_ports(self) -> None:
        wanted = [(self.settings.host, self.settings.port, "--port")]
        wanted += [("127.0.0.1", port, "--sandbox-ports") for port in self._sandbox_ports()]
        # Roles whose supervisor was killed end by themselves, a moment later.
        within_s = _ORPHANS_S if was_killed(self.data) else 0.0
        taken: set[int] = set()
        for host, port, flag in wanted:
            if port in taken:
                raise Misconfigured(f"port {port} is given twice", f"choose another with {flag}")
            taken.add(port)
            refuse_taken(host, port, flag, within_s=within_s)

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

    def children(self) -> list[Child]:
        """The roles and the sandbox processors, in the order in which they drain."""
        folder = self.data / _RUN_FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        roles = [role for role in map(role_named, UP) if role is not None]
        children = [self._role_child(role, folder) for role in roles]
        for processor, port in zip(self.settings.processors, self._sandbox_ports(), strict=False):
            children.append(self._sandbox_child(processor, port))
        return children

    def _role_child(self, role: Role, folder: Path) -> Child:
        courtesy = folder / _COURTESY_FILE
        address = Address(self.settings.host, self.settings.port, courtesy=courtesy)
        if role.name != "api":
            address = Address(socket=folder / f"{role.name}.sock", courtesy=courtesy)
        settings = as_service(self.settings, role.name) if self.embedded else self.settings

        def start() -> None:
            os.nice(role.niceness)
            lifecycle.run_role(
                role.name,
                partial(run_role, role, settings, address),
                set_up_logs=partial(self._set_up_logs, role.name),
            )

        return Child(role.name, start, self._argv(role.name))

    def _sandbox_child(self, processor: ProcessorSettings, port: int) -> Child:
        name = f"sandbox {processor.name}"
        journal = journal_of(self.data, processor.name)

        def start() -> None:
            os.nice(SANDBOX_NICENESS)
            lifecycle.run_role(
                name,
                partial(serve_sandbox, processor, journal, port),
                set_up_logs=partial(self._set_up_logs, name),
            )

        return Child(name, start, self._argv(name))

    def _argv(self, name: str) -> list[str]:
        """The command that is this child in a fresh interpreter: see `voltpay child`."""
        where = ["--host", self.settings.host, "--port", str(self.settings.port)]
        file = ["--config", str(self.config)] if self.config else []
        return [
            sys.executable,
            "-m",
            "voltpay",
            "child",
            name,
            "--data",
            str(self.data),
            *where,
            *file,
        ]

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
        os.write(write, f"{error.detail}\ntry again, or see `voltpay doctor`".encode())
        return 2
    except Exception as error:  # noqa: BLE001 - nothing of the parent may run in this child
        said = " ".join(str(error).split())
        os.write(write, f"it cannot be prepared: {said}\nsee the logs in its folder".encode())
        return 1
    return 0
