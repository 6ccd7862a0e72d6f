"""One folder, one owner: locks that live exactly as long as the process that owns the folder."""

import fcntl
import os
import time
from pathlib import Path

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded import processes
from voltpay.foundation.engines.embedded.processes import ProcessId

_POLL_S = 0.02


def take(path: Path, *, wait_s: float = 0.0) -> int | None:
    """Lock a file, making it if need be; its descriptor, or None if another holds it for longer.

    The lock belongs to the open file: it is held until every copy of the descriptor is closed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_POLL_S)
        except OSError:
            os.close(descriptor)
            raise
        else:
            return descriptor


class Ownership:
    """The one supervisor of a data folder. Processes that it forks do not hold it with it."""

    def __init__(self, data: Path) -> None:
        self._lock = data / "supervisor.lock"
        self._record = data / "supervisor.pid"
        self._data = data
        self._descriptor: int | None = None
        self._hooked = False

    def take(self) -> None:
        """Become the owner. Raises Misconfigured while another process is."""
        self._descriptor = take(self._lock)
        if self._descriptor is None:
            owner = processes.read(self._record)
            named = f" (pid {owner.pid})" if owner is not None else ""
            raise Misconfigured(
                f"the data folder {self._data} is in use by another voltpay up{named}",
                "stop that one first, or choose another folder with --data",
            )
        processes.myself().write(self._record)
        if not self._hooked:
            os.register_at_fork(after_in_child=self._let_go)
            self._hooked = True

    def give_back(self) -> None:
        """Let another process own the folder."""
        if self._descriptor is not None:
            self._record.unlink(missing_ok=True)
            self._let_go()

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def owner_of(data: Path) -> ProcessId | None:
    """The live supervisor of a data folder, if there is one."""
    owner = processes.read(data / "supervisor.pid")
    return owner if owner is not None and owner.is_alive else None
