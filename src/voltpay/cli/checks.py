"""What `voltpay doctor` checks: log, cache, database, schema."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.installation import with_house
from voltpay.cli.reach import EngineErrors, trouble_of
from voltpay.core.errors import Broken, Misconfigured, Unavailable
from voltpay.foundation.engines.postgres.installation import current_epoch
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.migrations import needs_migration

_SCHEMA_BEHIND: Final = "is behind: run `voltpay migrate up`"


@dataclass(frozen=True)
class Finding:
    """One check: `verdict` is `ok`, or what is wrong."""

    name: str
    verdict: str


def check_all(data: Path | None, config: Path | None) -> list[Finding]:
    """All findings, in the order in which a payment meets what they are about."""
    return with_house(data, config, _check, checks_schema=False)


async def _check(house: House, settings: Settings) -> list[Finding]:
    database = Postgres(settings.database_url.get_secret_value(), name="doctor", size_max=1)
    url = settings.database_url.get_secret_value()

    async def log() -> str:
        full = await house.engines.intake.is_full()
        return "its memory is full: raise log_memory_mib" if full else "ok"

    async def cache() -> str:
        await house.engines.cache.get(["doctor"])
        return "ok"

    async def books() -> str:
        await current_epoch(database)
        return "ok"

    async def schema() -> str:
        return _SCHEMA_BEHIND if await asyncio.to_thread(needs_migration, url) else "ok"

    checks: dict[str, Callable[[], Awaitable[str]]] = {
        "log": log,
        "cache": cache,
        "database": books,
        "schema": schema,
    }
    try:
        return [Finding(name, await _verdict(check, settings)) for name, check in checks.items()]
    finally:
        await database.close()


async def _verdict(check: Callable[[], Awaitable[str]], settings: Settings) -> str:
    try:
        return await check()
    except EngineErrors as error:
        trouble = await asyncio.to_thread(trouble_of, settings, error)
        return f"{trouble.wrong}: {trouble.mend}" if trouble else str(error)
    except (Broken, Misconfigured, Unavailable) as error:
        return str(error)
