"""Which process is which: a pid alone may have been given to another one since."""

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_BOOT: Final = _PROC / "sys/kernel/random/boot_id"


@dataclass(frozen=True)
class ProcessId:
    """A process of this machine: its pid and when it started, in the system's own words."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs; one that waits to be reaped does not."""
        return started(self.pid) == self.started

    def write(self, path: Path) -> None:
        """Keep it in a file, whole or not at all."""
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(f"{self.pid} {self.started}\n", encoding="utf-8")
        fresh.replace(path)


def read(path: Path) -> ProcessId | None:
    """What `write` kept; None if there is nothing readable."""
    try:
        pid, begun = path.read_text(encoding="utf-8").strip().split(" ", 1)
        return ProcessId(int(pid), begun)
    except (OSError, ValueError):
        return None


def myself() -> ProcessId:
    """This process."""
    return ProcessId(os.getpid(), started(os.getpid()) or "")


def started(pid: int) -> str | None:
    """When the process with this pid started, opaque; None if no such process runs."""
    if _BOOT.exists():
        return _started_by_proc(pid)
    return _asked_of_ps(pid, "state=", "lstart=")


def command(pid: int) -> str:
    """The command line of a process; empty if it is gone or not to be seen."""
    if _BOOT.exists():
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            return ""
    return _asked_of_ps(pid, "state=", "command=") or ""


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process, which may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _started_by_proc(pid: int) -> str | None:
    try:
        # proc(5): the command's name, in brackets, may itself hold blanks and brackets.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, ticks = fields[0], fields[19]
    return None if state in "ZXx" else f"{_BOOT.read_text().strip()} {ticks}"


def _asked_of_ps(pid: int, *columns: str) -> str | None:
    options = [word for column in columns for word in ("-o", column)]
    answer = subprocess.run(  # noqa: S603
        ["/bin/ps", *options, "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "TZ": "UTC"},
    )
    state, _, rest = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else rest.strip()
