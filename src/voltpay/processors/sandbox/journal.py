"""What the sandbox executed: an append-only file, and in memory where each payment stands in it.

A line a payment: sequence, id, minor units, requestedAt in milliseconds. Each is one write before
the answer, so it survives `kill -9` of the process; it is not synced, so not a power cut.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.processors.sandbox.extents import Extents
from voltpay.processors.sandbox.rows_by_id import RowsById
from voltpay.processors.sandbox.seconds import Seconds, Total
from voltpay.processors.seam import Booked


class JournalFull(Unavailable):
    """A payment could not be written: it is not recorded, and nothing of it is left."""

    title = "The sandbox's journal cannot be written"


class Journal:
    """Payments numbered from 1 without gaps. One process at a time has the file, by its lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._size = 0
        self._forget()

    def _forget(self) -> None:
        self._lines = Extents()
        self._rows = RowsById(self._id_of)
        self._seconds = Seconds()
        self._amount_minor = 0

    def __len__(self) -> int:
        return len(self._lines)

    def _row(self, row: int) -> tuple[bytes, int, int]:
        """Id, minor units, requestedAt, as the file has them."""
        start, length = self._lines[row]
        return _parsed(os.pread(self._file, length, start))[1:]

    def _amount_and_time(self, row: int) -> tuple[int, int]:
        return self._row(row)[1:]

    def _id_of(self, row: int) -> bytes:
        return self._row(row)[0]

    def open(self) -> None:
        """Take the file, and read it back; a torn last line is cut off. Raises Misconfigured."""
        if self._file >= 0:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read_back()
        except BaseException as error:
            self.close()
            if isinstance(error, BlockingIOError):
                raise Misconfigured(
                    f"another process has the journal {self._path}", "stop it, or name another"
                ) from error
            raise

    def _read_back(self) -> None:
        content = self._path.read_bytes()
        self._size = content.rfind(b"\n") + 1
        os.ftruncate(self._file, self._size)
        for number, line in enumerate(content[: self._size].splitlines(), start=1):
            try:
                sequence, payment_id, amount_minor, requested_at_ms = _parsed(line)
                if sequence != number:
                    raise ValueError("out of sequence")
            except ValueError as error:
                raise Misconfigured(
                    f"line {number} of the journal {self._path} is unreadable",
                    "bring back a whole one, or remove it to begin a new one",
                ) from error
            self._remember(payment_id, amount_minor, requested_at_ms, len(line) + 1)

    def append(self, payment_id: bytes, amount_minor: int, requested_at_ms: int) -> None:
        """Record a payment that is not there yet. Raises JournalFull, and then it is not there."""
        line = b"%d %s %d %d\n" % (
            len(self) + 1,
            payment_id.hex().encode(),
            amount_minor,
            requested_at_ms,
        )
        self._write(line)
        self._size += len(line)
        self._remember(payment_id, amount_minor, requested_at_ms, len(line))

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise JournalFull(f"{self._path}: {error.strerror}") from error
        if written < len(line):
            os.ftruncate(self._file, self._size)
            raise JournalFull(f"{self._path}: no room for a whole line")

    def _remember(
        self, payment_id: bytes, amount_minor: int, requested_at_ms: int, length: int
    ) -> None:
        row = len(self)
        self._lines.append(length)
        self._rows.add(payment_id, row)
        self._amount_minor += amount_minor
        self._seconds.add(row, amount_minor, requested_at_ms)

    def __contains__(self, payment_id: bytes) -> bool:
        return self._rows.find(payment_id) is not None

    def find(self, payment_id: bytes) -> Booked | None:
        """The payment of this id (its 16 bytes); None if it was not executed."""
        row = self._rows.find(payment_id)
        return None if row is None else self._booked(row)

    def _booked(self, row: int) -> Booked:
        payment_id, amount_minor, requested_at_ms = self._row(row)
        return Booked(UUID(bytes=payment_id), amount_minor, requested_at_ms)

    def total(self) -> Total:
        """All payments."""
        return Total(len(self), self._amount_minor)

    def total_between(self, from_ms: int, to_ms: int) -> Total:
        """Those whose requestedAt is within the bounds, both inclusive."""
        return self._seconds.total_between(from_ms, to_ms, self._amount_and_time)

    def page(
        self, after: int, limit: int, from_ms: int | None, to_ms: int | None
    ) -> tuple[Sequence[tuple[int, Booked]], int | None]:
        """Up to `limit` payments behind sequence `after`, those within the bounds, numbered.

        And the sequence behind which the next page begins; None at the end.
        """
        end = min(after + limit, len(self))
        booked = [(row + 1, self._booked(row)) for row in range(after, end)]
        found = [
            (sequence, one)
            for sequence, one in booked
            if (from_ms is None or one.requested_at_ms >= from_ms)
            and (to_ms is None or one.requested_at_ms <= to_ms)
        ]
        return found, (end if end < len(self) else None)

    def purge(self) -> None:
        """Forget everything, on disk first."""
        os.ftruncate(self._file, 0)
        self._size = 0
        self._forget()

    def close(self) -> None:
        """Give the file back; what was appended stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._forget()


def _parsed(line: bytes) -> tuple[int, bytes, int, int]:
    """Sequence, id, minor units, requestedAt. Raises ValueError."""
    sequence, payment_id, amount_minor, requested_at_ms = line.split(b" ")
    return (
        int(sequence),
        bytes.fromhex(payment_id.decode()),
        int(amount_minor),
        int(requested_at_ms),
    )
