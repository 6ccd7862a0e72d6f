"""One server as a child process: started under its folder's lock, watched, restarted, stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import structlog

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded import locks, processes
from voltpay.foundation.engines.embedded.accounts import Launcher
from voltpay.foundation.engines.embedded.probes import Answer
from voltpay.foundation.engines.embedded.processes import ProcessId
from voltpay.foundation.engines.embedded.words import reason_in

_POLL_S: Final = 0.01
_SILENCE_MAX_S: Final = 60.0
_BACKOFF_MIN_S: Final = 0.5
_BACKOFF_MAX_S: Final = 8.0
"""Short enough that an engine whose trouble is over serves well within a minute."""
_STABLE_S: Final = 30.0
_LOG_BYTES_MAX: Final = 16 * 1024 * 1024

log = structlog.get_logger()


class Program(Protocol):
    """What is particular to one engine. `endings` are signals to stop it, each after a wait."""

    name: str
    folder: Path
    launcher: Launcher
    endings: Sequence[tuple[signal.Signals, float]]

    def prepare(self, lock: int) -> None:
        """Make and write what the server needs, under the folder's lock, a descriptor."""

    def command(self) -> Sequence[str]:
        """The command line of the server."""

    def ask(self) -> Answer:
        """Whether the server serves."""

    def own_pid(self) -> int | None:
        """The pid that the server itself wrote down, if it did."""


class Server:
    """A server of this process. All its methods are synchronous; none starts a thread."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._backoff_s = 0.0
        self._retry_at_s = 0.0
        self._log_start = 0

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.program.name

    @property
    def pid(self) -> int | None:
        """The pid of the server while it runs."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def launch(self) -> None:
        """Start it, after stopping one that a dead supervisor left behind. Does not wait for it."""
        self._spawn(self._lock_from_orphan())

    def wait(self) -> None:
        """Return when it serves. Raises Misconfigured if it ends or stays silent for a minute."""
        heard_s = time.monotonic()
        while (answer := self.program.ask()) is not Answer.SERVING:
            if answer is Answer.BUSY:
                heard_s = time.monotonic()
            if self.pid is None or time.monotonic() - heard_s > _SILENCE_MAX_S:
                raise Misconfigured(
                    f"{self.name} did not start ({self._last_words()})",
                    f"see {self._log}",
                )
            time.sleep(_POLL_S)

    def revive(self) -> bool:
        """Start it again if it died and its backoff has passed; whether it was started now."""
        if self._process is None or self._process.poll() is None:
            return False
        if time.monotonic() < self._retry_at_s:
            return False
        descriptor = locks.take(self.program.folder / "lock")
        if descriptor is None:
            return False
        log.warning("engine.died", engine=self.name, exit_code=self._process.returncode)
        self._back_off()
        try:
            self._spawn(descriptor)
        except (OSError, Misconfigured) as error:
            log.warning("engine.not_restarted", engine=self.name, error=str(error))
            return False
        return True

    def ask_to_stop(self) -> None:
        """Send the first of its signals."""
        if self.pid is not None:
            processes.send(self.pid, self.program.endings[0][0])

    def stop(self) -> None:
        """Wait until it is gone after `ask_to_stop`, at most the sum of the program's waits."""
        if self._process is None:
            return
        for turn, (number, wait_s) in enumerate(self.program.endings):
            if turn > 0 and self.pid is not None:
                processes.send(self.pid, number)
            try:
                self._process.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                log.warning("engine.slow_to_stop", engine=self.name, signal=number.name)
        self._process = None
        self._record.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return self.program.folder / "server.pid"

    @property
    def _log(self) -> Path:
        return self.program.folder / "server.log"

    def _back_off(self) -> None:
        now_s = time.monotonic()
        if now_s - self._started_s > _STABLE_S:
            self._backoff_s = 0.0
        self._backoff_s = min(max(2 * self._backoff_s, _BACKOFF_MIN_S), _BACKOFF_MAX_S)
        self._retry_at_s = now_s + self._backoff_s

    def _spawn(self, descriptor: int) -> None:
        """Start the server and leave the lock to it alone."""
        try:
            self.program.prepare(descriptor)
            self._process = self._started_with(descriptor)
        finally:
            os.close(descriptor)
        self._started_s = time.monotonic()
        pid = self._process.pid
        ProcessId(pid, processes.started(pid) or "").write(self._record)

    def _started_with(self, descriptor: int) -> "subprocess.Popen[bytes]":
        launcher = self.program.launcher
        with self._opened_log() as output:
            return subprocess.Popen(  # noqa: S603
                [*launcher.prefix, *self.program.command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(descriptor,),
                start_new_session=True,
                cwd="/",
                user=launcher.user,
                group=launcher.group,
                extra_groups=launcher.extra_groups,
                preexec_fn=_unblock_signals,  # noqa: PLW1509
            )

    def _opened_log(self) -> BinaryIO:
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES_MAX:
            self._log.replace(self._log.with_suffix(".log.1"))
        descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._log_start = os.fstat(descriptor).st_size
        return os.fdopen(descriptor, "ab")

    def _last_words(self) -> str:
        with self._log.open("rb") as written:
            written.seek(self._log_start)
            return reason_in(written.read().decode(errors="replace"))

    def _lock_from_orphan(self) -> int:
        lock = self.program.folder / "lock"
        descriptor = locks.take(lock)
        for number, wait_s in self.program.endings:
            if descriptor is not None:
                return descriptor
            orphan = self._orphan()
            if orphan is not None:
                processes.send(orphan, number)
            descriptor = locks.take(lock, wait_s=wait_s)
        if descriptor is None:
            raise Misconfigured(
                f"another process holds {lock}", f"find it with `fuser {lock}` and stop it"
            )
        return descriptor

    def _orphan(self) -> int | None:
        recorded = processes.read(self._record)
        if recorded is not None and recorded.is_alive:
            return recorded.pid
        # A supervisor killed between the start and the record leaves only the server's own file.
        pid = self.program.own_pid()
        is_ours = pid is not None and str(self.program.folder) in processes.command(pid)
        return pid if is_ours else None


def _unblock_signals() -> None:
    # A supervisor may have blocked signals to wait for them; Valkey would inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
