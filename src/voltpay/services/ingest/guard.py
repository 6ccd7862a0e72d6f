"""Watch what waits: above its bounds ingest refuses, so that the log always has room to drain."""

from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Gauge

from voltpay.foundation.seams.intake import Intake
from voltpay.services.ingest.accept import Accept

log = structlog.get_logger()
_OVERLOADED = Gauge("voltpay_ingest_overloaded", "1 while new payments are refused for load")


class Guard:
    """Looks at the backlog and the log's memory, and closes or opens accepting."""

    def __init__(
        self,
        accept: Accept,
        intake: Intake,
        backlog: Callable[[], Awaitable[int]],
        backlog_max: int,
    ) -> None:
        self._accept = accept
        self._intake = intake
        self._backlog = backlog
        self._backlog_max = backlog_max

    async def look(self) -> None:
        """One look. Raises Unavailable when the log is away; appends then say so themselves."""
        is_full = await self._intake.is_full()
        backlog = await self._backlog()
        is_overloaded = is_full or backlog > self._backlog_max
        if is_overloaded != self._accept.is_overloaded:
            log.warning("ingest.load", refusing=is_overloaded, is_full=is_full, backlog=backlog)
        self._accept.is_overloaded = is_overloaded
        _OVERLOADED.set(is_overloaded)
