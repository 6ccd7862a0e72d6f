"""Whom PostgreSQL runs as: ourselves, or, as root, which it refuses, an ordinary system user."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voltpay.core.errors import Misconfigured

_OWN_USER: Final = "voltpay"
_USERS: Final = (_OWN_USER, "postgres", "nobody")
_MAY_PASS: Final = ("+dac_read_search", "+dac_override")
"""Capabilities that let a program enter any folder; containers often have only the second."""


@dataclass(frozen=True)
class Account:
    """A system user, by its numbers."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        os.chown(path, self.uid, self.gid)


@dataclass(frozen=True)
class Launcher:
    """How a program is started as that user; `prefix` goes before its command line."""

    account: Account | None = None
    prefix: tuple[str, ...] = ()

    @property
    def user(self) -> int | None:
        """The user to change to before the program starts, if the prefix does not do so."""
        return None if self.account is None or self.prefix else self.account.uid

    @property
    def group(self) -> int | None:
        """Its group, likewise."""
        return None if self.account is None or self.prefix else self.account.gid

    @property
    def extra_groups(self) -> tuple[int, ...] | None:
        """No further groups, where the user changes."""
        return None if self.user is None else ()

    def own(self, path: Path) -> None:
        """Give a path to the user that the programs run as."""
        if self.account is not None:
            self.account.own(path)

    def run(
        self,
        arguments: Sequence[str],
        *,
        text: str = "",
        lock: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end, `text` on its input; it holds the descriptor `lock` as well."""
        return subprocess.run(  # noqa: S603
            [*self.prefix, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=None if environment is None else {**os.environ, **environment},
            pass_fds=() if lock is None else (lock,),
            user=self.user,
            group=self.group,
            extra_groups=self.extra_groups,
        )


def launcher_for(cluster: Path, *, passes: Sequence[Path], program: Path) -> Launcher:
    """How to run PostgreSQL on `cluster`, so that it can enter `passes` and start `program`.

    As root, folders above may be closed to the other user: then the program gets the one
    capability to pass them, and no permissions are changed. Raises Misconfigured.
    """
    if os.geteuid() != 0:
        return Launcher()
    account = _owner_of(cluster) or _system_user()
    capable = [Launcher(account, _passing(account, capability)) for capability in _MAY_PASS]
    for launcher in (Launcher(account), *capable):
        if _works(launcher, passes, program):
            return launcher
    raise Misconfigured(
        f"PostgreSQL does not run as root, and user {account.uid} cannot enter {passes[0]}",
        "run voltpay as an ordinary user, or choose a folder such as /var/lib/voltpay with --data",
    )


def _owner_of(cluster: Path) -> Account | None:
    if not cluster.exists():
        return None
    found = cluster.stat()
    return Account(found.st_uid, found.st_gid) if found.st_uid != 0 else None


def _system_user() -> Account:
    for name in _USERS:
        if name == _OWN_USER:
            _make_own_user()
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return Account(found.pw_uid, found.pw_gid)
    raise Misconfigured("PostgreSQL does not run as root", "run voltpay as an ordinary user")


def _make_own_user() -> None:
    maker = shutil.which("useradd")
    if maker is None or any(entry.pw_name == _OWN_USER for entry in pwd.getpwall()):
        return
    options = ["--system", "--no-create-home", "--home-dir", "/nonexistent"]
    shell = ["--shell", "/usr/sbin/nologin"]
    subprocess.run([maker, *options, *shell, _OWN_USER], capture_output=True, check=False)  # noqa: S603


def _passing(account: Account, capability: str) -> tuple[str, ...]:
    program = shutil.which("setpriv") or "/usr/bin/setpriv"
    who = ("--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups")
    # Without this bit access(2), by which initdb looks for its fellow programs, drops capabilities.
    bits = ("--securebits", "+no_setuid_fixup")
    return (program, *who, *bits, "--inh-caps", capability, "--ambient-caps", capability)


def _works(launcher: Launcher, passes: Sequence[Path], program: Path) -> bool:
    script = 'for folder; do cd "$folder" || exit 1; done; exec "$0" --version'
    arguments = ["/bin/sh", "-c", script, str(program), *map(str, passes)]
    try:
        return launcher.run(arguments).returncode == 0
    except OSError:
        return False
