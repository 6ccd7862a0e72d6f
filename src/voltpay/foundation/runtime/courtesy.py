"""Courtesy on one machine: who accepts payments says that it has to wait, and others hold back.

A word of eight bytes in a file that all roles of one `voltpay up` map: when accepting last waited
much longer than usual. Roles of other machines share no cores, and have no such file.
"""

import mmap
from os import SEEK_END
from pathlib import Path
from typing import Final

from voltpay.foundation.seams.clock import Clock

_BYTES: Final = 8
_MS_PER_DOUBLING: Final = 60_000.0
_DOUBLINGS_MAX: Final = 20.0


class Courtesy:
    """The word, and the clock that it is told by: `monotonic_ms`, the same for all processes."""

    def __init__(self, clock: Clock, file: Path | None = None) -> None:
        self._clock = clock
        self._word = memoryview(_mapped(file)).cast("q")

    def ask(self) -> None:
        """Ask the others to hold back: somebody waits."""
        self._word[0] = self._clock.monotonic_ms()

    @property
    def asked_ms(self) -> int:
        """When somebody asked last; 0: never."""
        return self._word[0]


class Usual:
    """What something usually takes: the least of late, which doubles in a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._least_ms = 0.0
        self._at_ms = 0

    def is_exceeded(self, took_ms: float, by_ms: float) -> bool:
        """Whether this one took more than twice as long as usual, and `by_ms` more. Learns it."""
        now_ms = self._clock.monotonic_ms()
        doublings = min((now_ms - self._at_ms) / _MS_PER_DOUBLING, _DOUBLINGS_MAX)
        grown_ms = self._least_ms * 2**doublings
        self._least_ms = min(took_ms, grown_ms) if self._at_ms else took_ms
        self._at_ms = now_ms
        return took_ms > 2 * self._least_ms + by_ms


def _mapped(file: Path | None) -> mmap.mmap:
    if file is None:
        return mmap.mmap(-1, _BYTES)
    with file.open("a+b") as opened:
        if opened.seek(0, SEEK_END) < _BYTES:
            # Written, not only made longer: a page that a full disk has no room for kills who
            # stores into it.
            opened.write(bytes(_BYTES))
            opened.flush()
        return mmap.mmap(opened.fileno(), _BYTES)
