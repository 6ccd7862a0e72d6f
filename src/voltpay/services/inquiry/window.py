"""Windows of time as clients give them: RFC 3339, both bounds inclusive, exact to the digit."""

import re
from datetime import UTC, datetime
from fractions import Fraction
from math import ceil, floor
from typing import Final

from msgspec import Struct

from voltpay.core.errors import Rejected

# A space before the offset is a plus sign that the client did not encode in its URL.
_RFC_3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,40}))?(?:[Zz]|([-+ ])(\d\d):(\d\d))",
    re.ASCII,
)
EARLIEST_MS: Final = -62_135_596_800_000
LATEST_MS: Final = 253_402_300_799_999
"""The first and the last millisecond of the years 1 to 9999, where an open window begins, ends."""


class NotATime(Rejected):
    """Not an RFC 3339 time with a zone, such as `2026-01-31T12:00:00.250Z`."""

    slug = "not-a-time"
    title = "A time is malformed"


class ReversedWindow(Rejected):
    """`to` is earlier than `from`."""

    slug = "reversed-window"
    title = "The window ends before it begins"


class Window(Struct, frozen=True):
    """Milliseconds UTC, both inclusive; empty if `until_ms` is less than `since_ms`."""

    since_ms: int
    until_ms: int


def window_of(since: str | None, until: str | None) -> Window:
    """The whole milliseconds from `since` to `until`, as far as they are given.

    Raises NotATime naming the field, or ReversedWindow.
    """
    first = Fraction(EARLIEST_MS) if since is None else _read("from", since)
    last = Fraction(LATEST_MS) if until is None else _read("to", until)
    if last < first:
        raise ReversedWindow("`to` is earlier than `from`", fields=("from", "to"))
    return Window(max(ceil(first), EARLIEST_MS), min(floor(last), LATEST_MS))


def _read(field: str, text: str) -> Fraction:
    moment = instant_of(text)
    if moment is None:
        raise NotATime(f"`{field}` is no RFC 3339 time with a zone", fields=(field,))
    return moment


def instant_of(text: str) -> Fraction | None:
    """Milliseconds since 1970 UTC, exactly; None if the text is no RFC 3339 time with a zone."""
    found = _RFC_3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = found.groups()[6:]
    offset = _offset_minutes(sign, offset_hours, offset_minutes)
    if offset is None or second > 60:
        return None
    try:
        whole = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
    seconds = int(whole.timestamp()) + second - offset * 60
    digits = fraction or "0"
    return seconds * 1000 + Fraction(int(digits) * 1000, 10 ** len(digits))


def _offset_minutes(sign: str | None, hours: str | None, minutes: str | None) -> int | None:
    if hours is None or minutes is None:
        return 0
    if int(hours) > 23 or int(minutes) > 59:
        return None
    return (-1 if sign == "-" else 1) * (int(hours) * 60 + int(minutes))
