"""What `voltpay doctor` checks: log and claims, cache, database, schema, standbys."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.installation import with_house
from voltpay.cli.reach import EngineErrors, trouble_of
from voltpay.core.errors import Broken, Misconfigured, Unavailable
from voltpay.foundation.engines.postgres.installation import current_epoch
from voltpay.foundation.engines.postgres.pool import DatabaseAway, Postgres
from voltpay.foundation.engines.postgres.positions import POSITION, read_from
from voltpay.migrations import needs_migration

_OK: Final = "ok"
_REPLICA_MS: Final = 3_000
_CATCH_UP_S: Final = 2.0
_LOOK_S: Final = 0.05
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
    url = settings.database_url.get_secret_value()
    database = Postgres(url, name="doctor", size_max=1)
    replicas = _replicas(settings)
    checks: dict[str, Callable[[], Awaitable[str]]] = {
        "log": partial(_log, house),
        "cache": partial(_cache, house),
        "database": partial(_database, database),
        "schema": partial(_schema, url),
    }
    for number, replica in enumerate(replicas, start=1):
        checks[f"replica-{number}"] = partial(_replica, database, replica)
    try:
        return [Finding(name, await _verdict(check, settings)) for name, check in checks.items()]
    finally:
        await asyncio.gather(*(one.close() for one in (database, *replicas)))


async def _log(house: House) -> str:
    await house.engines.admin.check()
    full = await house.engines.intake.is_full()
    return "its memory is full: raise log_memory_mib" if full else _OK


async def _cache(house: House) -> str:
    await house.engines.cache.get(["doctor"])
    return _OK


async def _database(database: Postgres) -> str:
    await current_epoch(database)
    return _OK


async def _schema(url: str) -> str:
    return _SCHEMA_BEHIND if await asyncio.to_thread(needs_migration, url) else _OK


def _replicas(settings: Settings) -> list[Postgres]:
    urls = [url.get_secret_value() for url in settings.replica_urls]
    return [Postgres(url, name="doctor", size_max=1, timeout_ms=_REPLICA_MS) for url in urls]


async def _replica(primary: Postgres, replica: Postgres) -> str:
    """Whether it is a standby, and gets soon where the primary is now."""
    try:
        if not await replica.fetch_value("select pg_is_in_recovery()"):
            return "is no standby: name one in VOLTPAY_REPLICA_URLS"
        async with asyncio.timeout(_CATCH_UP_S):
            wanted = read_from(await primary.fetch_value(POSITION))
            # A standby tells nobody how far it is: it is asked.
            while read_from(await replica.fetch_value(POSITION)) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
    except DatabaseAway as error:
        return f"does not answer ({error}): start it, or mend VOLTPAY_REPLICA_URLS"
    except TimeoutError:
        return "is late: it does not replay, or cannot reach the primary; see its log"
    return _OK


async def _verdict(check: Callable[[], Awaitable[str]], settings: Settings) -> str:
    try:
        return await check()
    except EngineErrors as error:
        trouble = await asyncio.to_thread(trouble_of, settings, error)
        return f"{trouble.wrong}: {trouble.mend}" if trouble else str(error)
    except (Broken, Misconfigured, Unavailable) as error:
        return str(error)
