"""What things are called on the server, and how stream ids become positions and back."""

from typing import Final
from uuid import UUID

PARTITIONS: Final = "log:partitions"
EPOCH: Final = "epoch"
PURGING: Final = "purging"
"""Stands in place of the epoch while a purge runs."""

CLAIM_PREFIX: Final = b"claim:"

_SEQUENCE_BITS: Final = 20
_SEQUENCE_MASK: Final = (1 << _SEQUENCE_BITS) - 1


def stream_of(topic: str) -> str:
    """The one stream of a shared topic."""
    return f"log:{topic}"


def partition_stream_of(topic: str, partition: int) -> str:
    """The stream of one partition of an ordered topic."""
    return f"log:{topic}:{partition}"


def cursor_of(topic: str, group: str) -> str:
    """Hash with the cursors of an ordered group.

    By partition: `p` the id it has finished, as `cursor_text` writes it; `p:n` how many records
    that are; `resets` how often somebody set it back.
    """
    return f"cursor:{topic}:{group}"


def failures_of(topic: str, partition: int, group: str) -> str:
    """Hash with the number of failures of each delivery that failed, by stream id."""
    return f"failed:{topic}:{partition}:{group}"


def resets_of(topic: str, group: str) -> str:
    """How often a group of a log elsewhere was asked to read again from the beginning."""
    return f"resets:{topic}:{group}"


def alive_prefix_of(group: str) -> str:
    """Before a consumer's name: the key that says whether its process lives."""
    return f"alive:{group}:"


def claim_key(payment_id: str) -> bytes:
    """Where the claim of a payment stands; the id in its canonical text."""
    return CLAIM_PREFIX + bytes.fromhex(payment_id.replace("-", ""))


def claim_key_of(payment_id: UUID) -> bytes:
    """Where the claim of a payment stands."""
    return CLAIM_PREFIX + payment_id.bytes


def position_of(stream_id: bytes) -> int:
    """A stream id `ms-seq` as one number that grows with it: 20 bits for the sequence.

    The scripts keep sequences far below 2^20, so that nothing is lost.
    """
    ms, _, sequence = stream_id.partition(b"-")
    return (int(ms) << _SEQUENCE_BITS) + int(sequence)


def id_of(position: int) -> str:
    """The stream id of a position."""
    return f"{position >> _SEQUENCE_BITS}-{position & _SEQUENCE_MASK}"


def appended_at_ms(position: int) -> int:
    """When the record of this position was appended, by the server's clock."""
    return position >> _SEQUENCE_BITS


def cursor_text(position: int) -> str:
    """A position of fixed width: its decimal digits compare like the number, in any locale.

    Lua's numbers are doubles, and its `<` on strings asks the locale: digits are safe in both.
    """
    return f"{position >> _SEQUENCE_BITS:015d}-{position & _SEQUENCE_MASK:07d}"


def position_of_cursor(text: bytes | None) -> int:
    """The position that `cursor_text` wrote; 0 where there is none."""
    return position_of(text) if text else 0
