"""How many payments routing holds: questions of others, each one statement."""

from uuid import UUID

from voltpay.core.errors import Broken
from voltpay.foundation.engines.postgres.pool import Postgres

_OPEN = "select count(*) from routing.attempt where state in ('sending', 'unknown', 'parked')"
_OPEN_OF = """
select exists (select from routing.attempt
                where payment_id = $1 and state in ('sending', 'unknown', 'parked'))"""
_UNKNOWN = "select count(*) from routing.attempt where turn > 1 or state = 'unknown'"


class NoCount(Broken):
    """A count came back as something else."""


class Census:
    """Counts attempts; reads only."""

    def __init__(self, database: Postgres) -> None:
        self._database = database

    async def open_attempts(self) -> int:
        """Attempts whose outcome is not known yet."""
        return await self._count(_OPEN)

    async def unknown_ever(self) -> int:
        """Attempts that the resolver took, or will take: a scan, for demos and tests."""
        return await self._count(_UNKNOWN)

    async def has_open_attempt(self, payment_id: UUID) -> bool:
        """Whether a processor may still be charging this payment."""
        return bool(await self._database.fetch_value(_OPEN_OF, payment_id))

    async def _count(self, sql: str) -> int:
        value = await self._database.fetch_value(sql)
        if not isinstance(value, int):
            raise NoCount(f"{value!r}")
        return value
