"""How far a database has come: positions of its write-ahead log, wanted and seen by one request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from string import hexdigits
from typing import Final

_HALF: Final = 32
_DIGITS_MAX: Final = 16

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
    """The position that a text names, up to 16 hexadecimal digits; None for any other text."""
    is_one = 0 < len(text) <= _DIGITS_MAX and all(digit in hexdigits for digit in text)
    return int(text, 16) if is_one else None


def shown(position: int) -> str:
    """The text of a position."""
    return f"{position:X}"


def read_from(answer: object) -> int:
    """The position in PostgreSQL's answer to `POSITION`: two numbers, as in 0/15D6B70."""
    high, _, low = str(answer).partition("/")
    return int(high, 16) << _HALF | int(low, 16)
