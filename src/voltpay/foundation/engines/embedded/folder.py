"""The data folder of one installation: what lies where, and how to reach what runs in it."""

import os
import pwd
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded import locks, processes
from voltpay.foundation.engines.embedded.files import (
    is_ours_alone,
    make_private,
    refuse_strangers,
    told_plainly,
    write_private,
)

_SOCKET_BYTES_MAX: Final = 103
"""The longest path of a socket: macOS has room for 103 bytes, Linux for 107."""

_LONGEST_SOCKET: Final = "postgres/.s.PGSQL.5432"
_SHORT: Final = Path("/tmp")  # noqa: S108
_SECRET_BYTES: Final = 48
_SECRET_WAIT_S: Final = 5.0


@dataclass(frozen=True)
class EngineUrls:
    """Where the engines of an installation are reached; `database` holds the password."""

    log: str
    cache: str
    database: str = field(repr=False)
    replica: str = field(default="", repr=False)


@dataclass(frozen=True)
class Folder:
    """The layout below a data folder; `data` is absolute."""

    data: Path

    @property
    def sockets(self) -> Path:
        """Where the sockets lie: `run`, or what it links to if the data folder's path is long."""
        run = self.data / "run"
        return run.readlink() if run.is_symlink() else run

    def valkey_socket(self, name: str) -> Path:
        """The socket of the Valkey server with this name."""
        return self.sockets / "valkey" / f"{name}.sock"

    @property
    def postgres_sockets(self) -> Path:
        """The folder in which PostgreSQL makes its socket."""
        return self.sockets / "postgres"

    @property
    def password(self) -> Path:
        """The file with the password of the database's user."""
        return self.data / "postgres" / "password"

    @property
    def urls(self) -> EngineUrls:
        """Addresses of the engines. Raises OSError before the first start."""
        password = quote(self.password.read_text(encoding="utf-8").strip(), safe="")
        owner = f"postgresql://voltpay:{password}@/voltpay?host="
        return EngineUrls(
            log=f"unix://{quote(str(self.valkey_socket('log')))}",
            cache=f"unix://{quote(str(self.valkey_socket('cache')))}",
            database=owner + quote(str(self.postgres_sockets)),
            replica=owner + quote(str(self.replica_sockets))
            if self.replica_in_step.exists()
            else "",
        )

    @property
    def replica_sockets(self) -> Path:
        """The folder in which a standby makes its socket."""
        return self.sockets / "replica"

    @property
    def replica_in_step(self) -> Path:
        """The file that says so; without it a standby is made anew."""
        return self.data / "replica" / "in-step"

    def prepare(self) -> None:
        """Make the data folder. Raises Misconfigured if it is not, or cannot be, ours alone."""
        with told_plainly(self.data):
            make_private(self.data, is_passable=True)
            refuse_strangers(self.data)
            self._refuse_other_owner()

    def prepare_sockets(self) -> None:
        """Make the folders for sockets; the owner of the data folder does so."""
        run = self.data / "run"
        if _has_room(run):
            if run.is_symlink():
                run.unlink()
            make_private(run, is_passable=True)
        elif not run.is_symlink() or not is_ours_alone(self.sockets):
            self._link_sockets(run)
        make_private(self.sockets / "valkey")

    def remove_sockets(self) -> None:
        """Remove a folder of sockets outside of the data folder."""
        if (self.data / "run").is_symlink():
            shutil.rmtree(self.sockets, ignore_errors=True)
            (self.data / "run").unlink(missing_ok=True)

    def _link_sockets(self, run: Path) -> None:
        parents = [Path(tempfile.gettempdir()), _SHORT]
        fitting = [path for path in parents if _has_room(path / "voltpay-12345678")]
        if not fitting:
            raise Misconfigured(f"{self.data} is too long for a socket", "choose a shorter --data")
        short = Path(tempfile.mkdtemp(prefix="voltpay-", dir=fitting[0]))
        if os.geteuid() == 0:
            short.chmod(0o711)
        if run.is_symlink():
            run.unlink()
        elif run.exists():
            shutil.rmtree(run)
        run.symlink_to(short)

    def _refuse_other_owner(self) -> None:
        lock = self.data / "supervisor.lock"
        if not lock.exists() or (uid := lock.stat().st_uid) == os.geteuid():
            return
        raise Misconfigured(
            f"the installation in {self.data} belongs to user {_name_of(uid)}",
            "run voltpay as that user, or choose another folder with --data",
        )


def folder_of(data: Path) -> Folder:
    """The layout below a folder as a user names it."""
    return Folder(data.expanduser().resolve())


def secret(data: Path) -> bytes:
    """The installation's secret of 48 random bytes, made at the first call, readable by us only."""
    folder = folder_of(data).data
    path = folder / "secret"
    with told_plainly(path):
        make_private(folder, is_passable=True)
        if not path.exists():
            _make_secret(path)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Misconfigured(f"others may read the secret {path}", f"chmod 600 {path}")
        kept = path.read_bytes()
    if len(kept) < _SECRET_BYTES:
        raise Misconfigured(f"the secret {path} is cut short", "restore it from a backup")
    return kept


def installed_urls(data: Path) -> EngineUrls | None:
    """Addresses of the engines of an installation that runs; None if it does not run."""
    folder = folder_of(data)
    try:
        return folder.urls if locks.owner_of(folder.data) is not None else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(
            f"the installation in {folder.data} cannot be read", "use the user that started it"
        ) from error


def was_killed(data: Path) -> bool:
    """Whether the last supervisor of a data folder ended without giving it back."""
    folder = folder_of(data).data
    return processes.read(folder / "supervisor.pid") is not None and not locks.owner_of(folder)


def _make_secret(path: Path) -> None:
    descriptor = locks.take(path.with_name("secret.lock"), wait_s=_SECRET_WAIT_S)
    if descriptor is None:
        raise Misconfigured(f"another process is making {path}", "try again")
    try:
        if not path.exists():
            write_private(path, secrets.token_bytes(_SECRET_BYTES))
    finally:
        os.close(descriptor)


def _has_room(sockets: Path) -> bool:
    return len(os.fsencode(sockets / _LONGEST_SOCKET)) <= _SOCKET_BYTES_MAX


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
