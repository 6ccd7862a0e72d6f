"""Strikes: the faults that a soak draws from its seed, as values, and how each is done."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import redis
from tests.faults.engines import cache_client, set_back
from tests.faults.points import POINTS, set_point

from voltpay.core.errors import VoltpayError

PER_MINUTE: Final = 26
DOWN_S: Final = 8
"""An engine that died several times is down for so long at most."""
ROLES: Final = ("api", "routing", "ledger", "projection", "sandbox default", "sandbox fallback")
ENGINES: Final = ("log", "cache", "postgres")
GROUPS: Final = {"accepted": "routing", "settled": "ledger", "posted": "projection"}
LIES: Final = (
    "late",
    "reset",
    "reset_before_insert",
    "error_after_insert",
    "garbage",
    "amount_answered_wrong",
    "decline",
    "false_duplicate",
    "absent_first",
    "health_lies",
)
CALM: Final = {"failure": {"failure": False}, "delay": {"delay": 0}, "faults": {"share": {}}}
DELAYS_MS: Final = (50, 500, 2_500, 10_000)
WEIGHTS: Final = {
    "kill role": 6,
    "stop role": 3,
    "kill engine": 4,
    "stop engine": 2,
    "failpoint": 6,
    "processor fails": 3,
    "processor dawdles": 3,
    "processor lies": 5,
    "set group back": 2,
    "forget cache": 2,
    "kill all roles": 1,
    "kill supervisor": 1,
}


@dataclass(frozen=True)
class Strike:
    """One fault: when, of which kind, at what, and for how long it lasts where it does."""

    at_s: float
    kind: str
    target: str
    seconds: float

    def __str__(self):
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at_s:6.1f} s  {self.kind:<18} {self.target}{lasting}"


def _of_nobody(_):
    return "-", 0.0


def _lasting(names, least_s, most_s):
    return lambda chance: (chance.choice(names), round(chance.uniform(least_s, most_s), 1))


def _momentary(names):
    return lambda chance: (chance.choice(names), 0.0)


DETAILS: Final = {
    "kill role": _momentary(ROLES),
    "stop role": _lasting(ROLES, 0.5, 8),
    "kill engine": _momentary(ENGINES),
    "stop engine": _lasting(ENGINES, 0.5, 4),
    "failpoint": _momentary(sorted(POINTS)),
    "set group back": _momentary(sorted(GROUPS)),
    "processor fails": _lasting("01", 0.5, 5),
    "processor dawdles": _lasting([f"{one} {ms}" for one in "01" for ms in DELAYS_MS], 0.5, 5),
    "processor lies": _lasting([f"{one} {lie}" for one in "01" for lie in LIES], 1, 6),
}
"""By kind, a drawing of its target and of how many seconds it lasts."""


def drawn(seed, minutes):
    """The strikes of a soak: the same for the same seed and length."""
    chance = random.Random(f"{seed} {minutes}")
    count = max(1, round(PER_MINUTE * minutes))
    moments = sorted(chance.uniform(0, 60 * minutes) for _ in range(count))
    kinds = chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()), k=count)
    return [
        Strike(round(at_s, 1), kind, *DETAILS.get(kind, _of_nobody)(chance))
        for at_s, kind in zip(moments, kinds, strict=True)
    ]


class Hand:
    """Does strikes on a running Voltpay, and takes back what they left."""

    def __init__(self, stack, points):
        self.done = 0
        self._stack = stack
        self._points = points
        self._healing = []
        self._acts: Mapping[str, Callable] = {
            "kill role": self._kill_role,
            "stop role": self._stop_role,
            "kill engine": self._kill_engine,
            "stop engine": self._stop_engine,
            "failpoint": self._arm,
            "processor fails": self._fail,
            "processor dawdles": self._dawdle,
            "processor lies": self._lie,
            "set group back": self._set_back,
            "forget cache": self._forget_cache,
            "kill all roles": self._kill_all_roles,
            "kill supervisor": self._kill_supervisor,
        }

    def strike(self, strike):
        """Do it, once what it is for is there: an earlier strike may have it down."""
        end = time.monotonic() + DOWN_S
        while True:
            try:
                self._acts[strike.kind](strike)
            except (OSError, KeyError, redis.RedisError, VoltpayError) as error:
                if time.monotonic() > end:
                    return f"met nobody ({type(error).__name__})"
                time.sleep(0.1)
            else:
                self.done += 1
                return "done"

    def heal(self):
        """End whatever still lasts; gives the failpoints that nobody came by."""
        self._go_on()
        for processor in (0, 1):
            self._stack.until(lambda processor=processor: self._is_calm(processor))
        left = [path for path in self._points.iterdir() if path.suffix != ".fired"]
        for path in left:
            path.unlink(missing_ok=True)
        return [path.name for path in left]

    def _go_on(self):
        for timer, undo in self._healing:
            timer.cancel()
            undo()
        self._healing.clear()

    def _is_calm(self, processor):
        try:
            for what, well in CALM.items():
                self._stack.configure(processor, what, well)
        except OSError:
            return False
        return True

    def _for_a_while(self, seconds, undo):
        def quietly():
            with suppress(OSError):
                undo()

        timer = threading.Timer(seconds, quietly)
        timer.start()
        self._healing.append((timer, quietly))

    def _signal(self, pid, seconds):
        os.kill(pid, signal.SIGSTOP)
        self._for_a_while(seconds, lambda: os.kill(pid, signal.SIGCONT))

    def _kill_role(self, strike):
        os.kill(self._stack.pids()[strike.target], signal.SIGKILL)

    def _stop_role(self, strike):
        self._signal(self._stack.pids()[strike.target], strike.seconds)

    def _kill_engine(self, strike):
        os.kill(self._stack.engine_pid(strike.target), signal.SIGKILL)

    def _stop_engine(self, strike):
        self._signal(self._stack.engine_pid(strike.target), strike.seconds)

    def _arm(self, strike):
        set_point(self._points, strike.target)

    def _fail(self, strike):
        self._behave(strike, "failure", {"failure": True})

    def _dawdle(self, strike):
        delay_ms = int(strike.target.split()[1])
        self._behave(strike, "delay", {"delay": delay_ms})

    def _lie(self, strike):
        share = {strike.target.split()[1]: 0.2, "reset": 0.02}
        lies = {"share": share, "seed": int(strike.at_s * 10), "answer_after_insert_ms": 12_000}
        self._behave(strike, "faults", lies)

    def _behave(self, strike, what, badly):
        processor = int(strike.target[0])
        self._stack.configure(processor, what, badly)
        self._for_a_while(
            strike.seconds, lambda: self._stack.configure(processor, what, CALM[what])
        )

    def _set_back(self, strike):
        set_back(self._stack, strike.target, GROUPS[strike.target])

    def _forget_cache(self, _):
        with cache_client(self._stack) as cache:
            cache.flushall()

    def _kill_all_roles(self, _):
        for pid in self._stack.pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _kill_supervisor(self, _):
        # A role that stands still would keep its port after the supervisor's death.
        self._go_on()
        self._stack.process.kill()
        self._stack.process.wait()
        self._stack.start()
