"""Payments by the second of their requestedAt: totals of a span without looking at each."""

from array import array
from collections.abc import Callable

from msgspec import Struct


class Total(Struct, frozen=True):
    """How many payments, and their sum in minor units."""

    count: int
    amount_minor: int


class _Second:
    """The payments whose requestedAt falls into one second."""

    __slots__ = ("amount_minor", "rows")

    def __init__(self) -> None:
        self.amount_minor = 0
        self.rows = array("I")


class Seconds:
    """Rows and sums by second; the rows themselves stand elsewhere."""

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}

    def add(self, row: int, amount_minor: int, requested_at_ms: int) -> None:
        """Note a payment."""
        second = self._seconds.get(requested_at_ms // 1000)
        if second is None:
            second = self._seconds[requested_at_ms // 1000] = _Second()
        second.amount_minor += amount_minor
        second.rows.append(row)

    def total_between(
        self, from_ms: int, to_ms: int, amount_and_time: Callable[[int], tuple[int, int]]
    ) -> Total:
        """Of those within the bounds, both inclusive; of seconds that are cut, row by row."""
        count = amount_minor = 0
        for number, second in self._seconds.items():
            if from_ms <= number * 1000 and number * 1000 + 999 <= to_ms:
                count += len(second.rows)
                amount_minor += second.amount_minor
            elif number * 1000 + 999 >= from_ms and number * 1000 <= to_ms:
                found = map(amount_and_time, second.rows)
                amounts = [amount for amount, at_ms in found if from_ms <= at_ms <= to_ms]
                count += len(amounts)
                amount_minor += sum(amounts)
        return Total(count, amount_minor)
