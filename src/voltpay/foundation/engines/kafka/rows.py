"""A record as a client reads it."""

from typing import Any, NamedTuple


class Row(NamedTuple):
    """A record as it arrives. `position` is one more than its offset: 0 is before the first."""

    partition: int
    position: int
    body: bytes
    appended_at_ms: int


def row_of(message: Any) -> Row:
    """Of a message without an error. Its time is the broker's: topics are made so."""
    return Row(message.partition(), message.offset() + 1, message.value(), message.timestamp()[1])
