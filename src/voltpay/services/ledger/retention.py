"""Days come and go: partitions made ahead, idempotency forgotten after a week."""

from datetime import date, timedelta
from typing import Protocol

import structlog

from voltpay.foundation.seams.clock import Clock
from voltpay.services.ledger.entries import day_of
from voltpay.services.ledger.settings import LedgerSettings

log = structlog.get_logger()


class RetentionStore(Protocol):
    """The books, as keeping them needs them."""

    async def prepare_day(self, day: date) -> bool:
        """Make a day's partitions; False if a default partition already holds that day."""
        ...

    async def clean(self, through: date) -> int:
        """Forget what was posted for days up to `through`; gives the partitions dropped."""
        ...


class Retention:
    """Prepares days and cleans, as often as it is asked to; repeating either is harmless."""

    def __init__(self, store: RetentionStore, clock: Clock, settings: LedgerSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._left: set[date] = set()

    async def prepare_days(self) -> None:
        """Partitions from yesterday to some days ahead, each day in a transaction of its own.

        A day that the default partition caught first stays there: slower to read, and right.
        """
        today = self._today()
        for ahead in range(-1, self._settings.days_ahead + 1):
            day = today + timedelta(days=ahead)
            if not await self._store.prepare_day(day) and day not in self._left:
                self._left.add(day)
                log.warning("ledger.day_left_in_default", day=day.isoformat())

    async def clean(self) -> None:
        """Forget which facts were posted on days before the last `idempotency_days`.

        From then on a repeat of such a fact is looked for among its day's payments.
        """
        through = self._today() - timedelta(days=self._settings.idempotency_days + 1)
        dropped = await self._store.clean(through)
        if dropped:
            log.info("ledger.cleaned", through=through.isoformat(), partitions=dropped)

    def _today(self) -> date:
        return day_of(self._clock.now_ms())
