"""Time and chance as inputs, so that a test can replay any run."""

import random
import time
from typing import Final, Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now_ms(self) -> int:
        """UTC since the epoch in milliseconds; may jump."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since an unknown point; never goes back; means nothing elsewhere."""
        ...


class Chance(Protocol):
    """Where randomness comes from."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...


_SINCE_START: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        """UTC since the epoch in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds since the machine's start; goes on while the process is stopped.

        On Linux it goes on while the machine is suspended, too: a lease must run out then.
        """
        return time.clock_gettime_ns(_SINCE_START) // 1_000_000


class SystemChance:
    """Pseudo-random numbers seeded by the operating system. Not for secrets."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311

    def random(self) -> float:
        """Uniform in [0, 1)."""
        return self._random.random()
