"""A role's life in its own process: the event loop, signals, and the line to its supervisor.

The same for a child that the supervisor started and for `voltpay run` in the foreground, which has
no line: there, readiness is only logged, and Ctrl-C stops the role as SIGTERM does.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Final, TypeVar

import structlog
import uvloop
from setproctitle import setproctitle

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.runtime.logs import configure_logging

__all__ = ["Lifecycle", "Lifeline", "configure_logging", "run_role"]

LIFELINE: Final = "_VOLTPAY_LIFELINE"
"""Environment variable with the descriptor of the line to the supervisor; unset without one."""

EXIT_FAILED: Final = 1
EXIT_MISCONFIGURED: Final = 2
_COLLECT_AT: Final = (10_000, 20, 20)
"""Objects more than were freed, then how many looks at the younger ones before an older one."""
READY: Final = b"ready"
REFUSED: Final = b"refused "
ORPHAN_GRACE_S: Final = 1.0
"""What a role whose supervisor is gone gets to end by itself."""
DRAIN_S: Final = 12.0
"""What a role that is stopping gets to finish what it holds."""

log = structlog.get_logger()
E = TypeVar("E", bound=BaseException)


class Lifeline:
    """The socket between a role and its supervisor; it closes when either of them dies.

    The role writes lines to it: `ready`, or `refused` and why it will never be.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    @classmethod
    def inherited(cls) -> "Lifeline | None":
        """The line that the supervisor handed over; None in the foreground. Given once."""
        number = os.environ.pop(LIFELINE, "")
        if not number:
            return None
        os.set_inheritable(int(number), False)
        return cls(socket.socket(fileno=int(number)))

    def ready(self) -> None:
        """Tell the supervisor that the role does its work now."""
        self._say(READY)

    def refused(self, line: str) -> None:
        """Tell the supervisor in one line why the role cannot run as it is set up."""
        self._say(REFUSED + " ".join(line.split()).encode())

    def _say(self, words: bytes) -> None:
        with contextlib.suppress(OSError):
            self._line.sendall(words + b"\n")

    def guard(self) -> None:
        """Watch the line; once it closes, ask the role to stop, and end the process anyway.

        In a thread: a role whose loop is stuck must not outlive its supervisor either.
        """
        threading.Thread(target=self._end_with_supervisor, name="lifeline", daemon=True).start()

    def _end_with_supervisor(self) -> None:
        with contextlib.suppress(OSError):
            while self._line.recv(64):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_GRACE_S)
        os._exit(EXIT_FAILED)


class Lifecycle:
    """What a role's main is given: says when it is ready, hears when it is to stop.

    From the first SIGTERM it `is_leaving`: it works on for `leave_s` and tells whoever asks that it
    is not ready. Then `stopping` is set, and main has DRAIN_S to finish what it holds and return.
    Then, or at a second signal, it is cancelled.
    """

    def __init__(self, name: str, lifeline: Lifeline | None) -> None:
        self.name = name
        self.stopping = asyncio.Event()
        self.is_leaving = False
        self._lifeline = lifeline

    def ready(self) -> None:
        """Tell the supervisor, and the log, that the role does its work."""
        spare_the_collector()
        log.info("role.ready")
        if self._lifeline:
            self._lifeline.ready()

    async def until_stopped(self) -> None:
        """Return once the role has been asked to stop."""
        await self.stopping.wait()


def spare_the_collector() -> None:
    """What stands once a role is ready stays until its end: the cycle collector need not look.

    Hot paths make objects by the thousand and no cycles among them. A look at the youngest comes
    ten times as rarely as by default, and one at everything, which stops a role for tens of
    milliseconds, finds only what was made since.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AT)


RoleMain = Callable[[Lifecycle], Coroutine[object, object, None]]


def run_role(
    name: str, main: RoleMain, *, set_up_logs: Callable[[], None], leave_s: float = 0.0
) -> None:
    """Run a role to its end in this process, on a loop of its own.

    Raises SystemExit: 2 for Misconfigured, told in one line; 1 when the role failed, when what it
    needs at its start was away, or when it was cancelled because it did not drain in time.
    """
    setproctitle(f"voltpay: {name}")
    lifeline = Lifeline.inherited()
    if lifeline:
        lifeline.guard()
    try:
        set_up_logs()
        drained = uvloop.run(_live(Lifecycle(name, lifeline), main, lifeline, leave_s))
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes an exit code
        raise SystemExit(_exit_code(error, lifeline)) from None
    if not drained:
        log.error("role.cut_off", drain_s=DRAIN_S)
        raise SystemExit(EXIT_FAILED)


async def _live(life: Lifecycle, main: RoleMain, lifeline: Lifeline | None, leave_s: float) -> bool:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(main(life))

    def stop() -> None:
        if life.is_leaving:
            task.cancel()
            return
        log.info("role.stopping")
        life.is_leaving = True
        loop.call_later(leave_s, life.stopping.set)
        loop.call_later(leave_s + DRAIN_S, task.cancel)

    # A supervised role gets SIGTERM when its turn to drain has come; Ctrl-C is not for it.
    for number in (signal.SIGTERM,) if lifeline else (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.wait([task])
    if task.cancelled():
        return False
    task.result()
    log.info("role.stopped")
    return True


def _exit_code(error: Exception, lifeline: Lifeline | None) -> int:
    if wrong := _first(error, Misconfigured):
        if lifeline:
            lifeline.refused(str(wrong))
        else:
            sys.stderr.write(f"voltpay: {' '.join(str(wrong).split())}\n")
        return EXIT_MISCONFIGURED
    if away := _first(error, Unavailable):
        log.error("role.unavailable", detail=away.detail)
    else:
        log.error("role.failed", exc_info=error)
    return EXIT_FAILED


def _first(error: BaseException, kind: type[E]) -> E | None:
    """The error itself, or the first of its kind in the groups that task groups raise."""
    if isinstance(error, kind):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := _first(each, kind))), None)
    return None
