"""How far a database has come: positions of its write-ahead log, wanted and seen by one request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

_HALF: Final = 32
_DIGITS_MAX: Final = 8

POSITION: Final = """
select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn()
       end::text
"""
"""Of a standby what it has replayed, of the primary what is behind all that can be seen."""


@dataclass
class Reading:
    """What a request wants its answers to contain, and what those contained that it got."""

    after: int
    seen: int = 0

    def saw(self, position: int) -> None:
        """Note the position of what was read."""
        self.seen = max(self.seen, position)


_READING: ContextVar[Reading | None] = ContextVar("reading", default=None)


def current_reading() -> Reading | None:
    """What the request in whose context this runs wants; None if it did not say."""
    return _READING.get()


@contextmanager
def reading(after: int | None) -> Iterator[Reading | None]:
    """Within: what is read is at this position at least. None: whatever is at hand."""
    if after is None:
        yield None
        return
    one = Reading(after)
    token = _READING.set(one)
    try:
        yield one
    finally:
        _READING.reset(token)


def parsed(text: str) -> int | None:
    """The position that a text names, as in 0/15D6B70; None for any other text."""
    high, slash, low = text.partition("/")
    if not slash or not all(0 < len(half) <= _DIGITS_MAX for half in (high, low)):
        return None
    if not (high + low).isalnum():
        return None
    try:
        return int(high, 16) << _HALF | int(low, 16)
    except ValueError:
        return None


def shown(position: int) -> str:
    """The text of a position."""
    return f"{position >> _HALF:X}/{position & (1 << _HALF) - 1:X}"
