"""What the sandbox executed: an append-only file, and the same in memory for its questions.

A line a payment: sequence, id, minor units, requestedAt in milliseconds. Each is one write before
the answer, so it survives `kill -9` of the process; it is not synced, so not a power cut.
"""

import fcntl
import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.processors.seam import Booked


class JournalFull(Unavailable):
    """A payment could not be written: it is not recorded, and nothing of it is left."""

    title = "The sandbox's journal cannot be written"


class Total(Struct, frozen=True):
    """How many payments, and their sum in minor units."""

    count: int
    amount_minor: int


class _Second:
    """The payments whose requestedAt falls into one second."""

    __slots__ = ("amount_minor", "rows")

    def __init__(self) -> None:
        self.amount_minor = 0
        self.rows = array("Q")


class Journal:
    """Payments numbered from 1 without gaps. One process at a time has the file, by its lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._size = 0
        self._forget()

    def _forget(self) -> None:
        self._ids: list[bytes] = []
        self._amounts = array("q")
        self._times = array("q")
        self._row_of: dict[bytes, int] = {}
        self._seconds: dict[int, _Second] = {}
        self._amount_minor = 0

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
                sequence, payment_id, amount_minor, requested_at_ms = line.split(b" ")
                if int(sequence) != number:
                    raise ValueError("out of sequence")
                row = bytes.fromhex(payment_id.decode()), int(amount_minor), int(requested_at_ms)
            except ValueError as error:
                raise Misconfigured(
                    f"line {number} of the journal {self._path} is unreadable",
                    "bring back a whole one, or remove it to begin a new one",
                ) from error
            self._remember(*row)

    def append(self, payment_id: bytes, amount_minor: int, requested_at_ms: int) -> None:
        """Record a payment that is not there yet. Raises JournalFull, and then it is not there."""
        sequence = len(self._ids) + 1
        line = b"%d %s %d %d\n" % (
            sequence,
            payment_id.hex().encode(),
            amount_minor,
            requested_at_ms,
        )
        self._write(line)
        self._size += len(line)
        self._remember(payment_id, amount_minor, requested_at_ms)

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise JournalFull(f"{self._path}: {error.strerror}") from error
        if written < len(line):
            os.ftruncate(self._file, self._size)
            raise JournalFull(f"{self._path}: no room for a whole line")

    def _remember(self, payment_id: bytes, amount_minor: int, requested_at_ms: int) -> None:
        row = len(self._ids)
        self._ids.append(payment_id)
        self._amounts.append(amount_minor)
        self._times.append(requested_at_ms)
        self._row_of[payment_id] = row
        self._amount_minor += amount_minor
        second = self._seconds.get(requested_at_ms // 1000)
        if second is None:
            second = self._seconds[requested_at_ms // 1000] = _Second()
        second.amount_minor += amount_minor
        second.rows.append(row)

    def __contains__(self, payment_id: bytes) -> bool:
        return payment_id in self._row_of

    def find(self, payment_id: bytes) -> Booked | None:
        """The payment of this id (its 16 bytes); None if it was not executed."""
        row = self._row_of.get(payment_id)
        return None if row is None else self._booked(row)

    def _booked(self, row: int) -> Booked:
        return Booked(UUID(bytes=self._ids[row]), self._amounts[row], self._times[row])

    def total(self) -> Total:
        """All payments."""
        return Total(len(self._ids), self._amount_minor)

    def total_between(self, from_ms: int, to_ms: int) -> Total:
        """Those whose requestedAt is within the bounds, both inclusive."""
        count = amount_minor = 0
        for number, second in self._seconds.items():
            if from_ms <= number * 1000 and number * 1000 + 999 <= to_ms:
                count += len(second.rows)
                amount_minor += second.amount_minor
            elif number * 1000 + 999 >= from_ms and number * 1000 <= to_ms:
                rows = [row for row in second.rows if from_ms <= self._times[row] <= to_ms]
                count += len(rows)
                amount_minor += sum(self._amounts[row] for row in rows)
        return Total(count, amount_minor)

    def page(
        self, after: int, limit: int, from_ms: int | None, to_ms: int | None
    ) -> tuple[Sequence[tuple[int, Booked]], int | None]:
        """Up to `limit` payments behind sequence `after`, those within the bounds, numbered.

        And the sequence behind which the next page begins; None at the end.
        """
        end = min(after + limit, len(self._ids))
        rows = [
            (row + 1, self._booked(row))
            for row in range(after, end)
            if (from_ms is None or self._times[row] >= from_ms)
            and (to_ms is None or self._times[row] <= to_ms)
        ]
        return rows, (end if end < len(self._ids) else None)

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
