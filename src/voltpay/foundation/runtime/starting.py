"""How a supervisor starts a role: forked from itself on Linux, spawned anew elsewhere.

Either way the child leads a process group of its own, so that a terminal's Ctrl-C reaches the
supervisor alone; it reads nothing, has default signal handlers, and holds no descriptor of its
parent but stdout, stderr and its end of the lifeline.
"""

import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn, Self

from voltpay.foundation.runtime.lifecycle import EXIT_FAILED, LIFELINE

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class Child:
    """A role to keep running. `run` runs it to its end in a forked child, through `run_role`.

    `argv` is the command that does the same in a fresh interpreter, where forking is not safe.
    """

    name: str
    run: Callable[[], None]
    argv: Sequence[str] = ()


Start = Callable[[Child, socket.socket], int]
"""Starts a child that holds this end of its lifeline; gives its pid."""


class Signals:
    """Signals as something to wait for: readable when one came. Restores all when it is left."""

    def __enter__(self) -> Self:
        self._reader, writer = os.pipe()
        self._writer = writer
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        self._former_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        watched = (*STOP_SIGNALS, signal.SIGCHLD)
        # Under nohup SIGHUP is ignored, and stays so.
        self._former = {
            number: signal.signal(number, _wake)
            for number in watched
            if number == signal.SIGCHLD or signal.getsignal(number) != signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """For select."""
        return self._reader

    def came(self) -> bool:
        """Whether the process was asked to stop since this was last called."""
        try:
            return any(number in STOP_SIGNALS for number in os.read(self._reader, 512))
        except BlockingIOError:
            return False


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Python writes the signal's number to the wakeup descriptor; nothing else is to be done."""


def fork(child: Child, lifeline: socket.socket) -> int:
    """Fork the child from this process: what was imported before is shared memory."""
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal between fork and reset would be written to the parent's wakeup descriptor.
    former = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    pid = os.fork()
    if pid == 0:
        _be(child, lifeline)
    signal.pthread_sigmask(signal.SIG_SETMASK, former)
    return pid


def _be(child: Child, lifeline: socket.socket) -> NoReturn:
    code: object = EXIT_FAILED
    try:
        os.setpgid(0, 0)
        _let_go_of_signals()
        _let_go_of_descriptors(lifeline.fileno())
        os.environ[LIFELINE] = str(lifeline.detach())
        child.run()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - nothing may return into the parent's frames
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else EXIT_FAILED if code else 0)


def _let_go_of_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _let_go_of_descriptors(keep: int) -> None:
    """Point stdin and every descriptor of the parent at /dev/null, but stdout, stderr and `keep`.

    Not closed: an object of the parent that is collected later would close the number again, when
    it may already be another's.
    """
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    for number in map(int, os.listdir("/dev/fd")):
        if number > 2 and number not in {keep, null}:
            with contextlib.suppress(OSError):
                os.fstat(number)
                os.dup2(null, number, inheritable=False)
    os.close(null)


def spawn(child: Child, lifeline: socket.socket) -> int:
    """Start the child's `argv` in a fresh interpreter."""
    lifeline.set_inheritable(True)
    return os.posix_spawnp(
        child.argv[0],
        list(child.argv),
        os.environ | {LIFELINE: str(lifeline.fileno())},
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
        setpgroup=0,
        setsigmask=(),
        setsigdef=(signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD),
    )
