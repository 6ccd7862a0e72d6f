"""Keep the roles of a house running: start them, restart the dead, drain and stop them in order.

Synchronous on purpose: the parent has no thread, no event loop and no connection. So it may fork at
any time, and what it imported before is shared by all roles.
"""

import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from setproctitle import setproctitle

from voltpay.foundation.runtime.lifecycle import EXIT_MISCONFIGURED, READY, REFUSED
from voltpay.foundation.runtime.starting import Child, Signals, Start, fork, spawn
from voltpay.foundation.seams.clock import Clock, SystemClock

__all__ = ["Child", "Supervisor", "backoff_ms"]

TICK_MS: Final = 250
BACKOFF_MIN_MS: Final = 100
BACKOFF_MAX_MS: Final = 5_000
STEADY_MS: Final = 30_000
"""A role that lived this long has recovered: its next restart is not delayed by earlier deaths."""
HURRY_MS: Final = 2_000
"""What is left to drain after a second signal. Some launchers pass one Ctrl-C on twice."""
BURY_MS: Final = 2_000
"""How long a killed role is waited for."""

log = structlog.get_logger()


def backoff_ms(deaths: int) -> int:
    """How long a role stays down after so many deaths in a row."""
    return min(BACKOFF_MAX_MS, BACKOFF_MIN_MS << min(deaths - 1, 16))


@dataclass
class _Place:
    """A child's place in the house, and who fills it now; pid 0: nobody."""

    child: Child
    pid: int = 0
    line: socket.socket | None = None
    heard: bytes = b""
    deaths: int = 0
    start_at_ms: int = 0
    started_at_ms: int = 0
    was_ready: bool = False
    asked: bool = False


class Supervisor:
    """Runs until SIGTERM, SIGINT or SIGHUP, or until a role turns out to be misconfigured.

    `tick` is called about four times a second in the parent; what it raises stops the house and
    is raised by `run`. `on_ready` is called with a role's name each time it has become ready.
    Children are drained in the order given, all of them within `drain_s`.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        tick: Callable[[], None],
        on_ready: Callable[[str], None],
        drain_s: float = 15.0,
        start: Start | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._places = [_Place(child) for child in children]
        self._tick = tick
        self._on_ready = on_ready
        self._drain_ms = int(drain_s * 1000)
        self._start = start or (fork if sys.platform == "linux" else spawn)
        self._clock = clock or SystemClock()
        self._refusal = ""

    def run(self) -> int:
        """Keep all children running; gives the exit code: 0 when stopped, 2 when misconfigured.

        A role that exits with code 2 before it was ever ready stops the house; its one line goes
        to stderr. Any other end is a death: the role is started again, after a backoff.
        """
        setproctitle("voltpay: supervisor")
        gc.collect()
        # A frozen object is never touched by a child's collector: its page stays shared.
        gc.freeze()
        with Signals() as signals:
            try:
                self._keep(signals)
            finally:
                self._drain(signals)
        if not self._refusal:
            return 0
        sys.stderr.write(f"voltpay: {self._refusal}\n")
        return EXIT_MISCONFIGURED

    def _keep(self, signals: Signals) -> None:
        tick_at_ms = self._now_ms()
        while not self._refusal and not signals.came():
            if self._now_ms() >= tick_at_ms:
                self._tick()
                tick_at_ms = self._now_ms() + TICK_MS
            for place in self._places:
                if not place.pid and self._now_ms() >= place.start_at_ms:
                    self._fill(place)
            self._wait(signals)
            for place in self._places:
                self._listen(place)
                self._reap(place)

    def _fill(self, place: _Place) -> None:
        place.started_at_ms = self._now_ms()
        try:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            with theirs:
                place.line, place.heard = ours, b""
                place.pid = self._start(place.child, theirs)
        except OSError as error:
            log.error("supervisor.role_not_started", name=place.child.name, error=str(error))
            self._bury(place)
            return
        log.info("supervisor.role_started", name=place.child.name, pid=place.pid)

    def _wait(self, signals: Signals) -> None:
        """Until a signal came, a role spoke or is due to start, or it is time for a tick."""
        now_ms = self._now_ms()
        due_ms = [place.start_at_ms - now_ms for place in self._places if not place.pid]
        lines = [place.line.fileno() for place in self._places if place.line]
        select.select([signals.fileno(), *lines], [], [], max(0, min([TICK_MS, *due_ms])) / 1000)

    def _listen(self, place: _Place) -> None:
        for word in _words(place):
            if word == READY:
                place.was_ready = True
                self._on_ready(place.child.name)
            elif word.startswith(REFUSED) and not place.was_ready:
                self._refusal = self._refusal or word.removeprefix(REFUSED).decode()

    def _reap(self, place: _Place) -> None:
        code = _exit_code(place.pid) if place.pid else None
        if code is None:
            return
        self._listen(place)
        if code == EXIT_MISCONFIGURED and not place.was_ready:
            self._refusal = self._refusal or f"{place.child.name} cannot run as it is set up"
        event = log.info if place.asked else log.error
        event("supervisor.role_ended", name=place.child.name, pid=place.pid, code=code)
        self._bury(place)

    def _bury(self, place: _Place) -> None:
        now_ms = self._now_ms()
        lived_ms = now_ms - place.started_at_ms
        place.deaths = 1 if lived_ms >= STEADY_MS else place.deaths + 1
        place.start_at_ms = now_ms + backoff_ms(place.deaths)
        if place.line:
            place.line.close()
        place.pid, place.line = 0, None

    def _drain(self, signals: Signals) -> None:
        """Ask one role after the other to stop; at the end kill what is left."""
        started_ms = self._now_ms()
        end_ms = started_ms + self._drain_ms
        while self._living() and self._now_ms() < end_ms:
            self._ask_next(self._now_ms() - started_ms)
            self._wait_for_ends(signals)
            if signals.came():
                end_ms = min(end_ms, self._now_ms() + HURRY_MS)
                self._ask_next(self._drain_ms)
        for place in self._living():
            log.error("supervisor.role_killed", name=place.child.name, pid=place.pid)
            os.kill(place.pid, signal.SIGKILL)
        given_up_ms = self._now_ms() + BURY_MS
        while self._living() and self._now_ms() < given_up_ms:
            self._wait_for_ends(signals)

    def _ask_next(self, elapsed_ms: int) -> None:
        """A role's turn comes when all before it have ended, or used up their share of the time."""
        for turn, place in enumerate(self._places):
            its_time = elapsed_ms * len(self._places) >= turn * self._drain_ms
            if not place.asked and (its_time or not any(p.asked for p in self._living())):
                place.asked = True
                if place.pid:
                    os.kill(place.pid, signal.SIGTERM)

    def _wait_for_ends(self, signals: Signals) -> None:
        select.select([signals], [], [], TICK_MS / 1000)
        for place in self._living():
            self._reap(place)

    def _living(self) -> list[_Place]:
        return [place for place in self._places if place.pid]

    def _now_ms(self) -> int:
        return self._clock.monotonic_ms()


def _words(place: _Place) -> list[bytes]:
    """The whole lines that the role has said since; closes the line once its end is gone."""
    words: list[bytes] = []
    while place.line:
        try:
            said = place.line.recv(4096)
        except BlockingIOError:
            break
        except ConnectionError:
            said = b""
        if not said:
            place.line.close()
            place.line = None
        *more, place.heard = (place.heard + said).split(b"\n")
        words += more
    return words


def _exit_code(pid: int) -> int | None:
    """How the child ended, negative for a signal; None while it lives."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return -1
    return os.waitstatus_to_exitcode(status) if ended else None
