"""Make an installation ready to run: schema, rights, log, the ledger's days."""

import asyncio
from typing import Final

from voltpay.app.engines import open_engines, refuse_wrong_urls
from voltpay.app.house import build
from voltpay.app.rights import set_rights
from voltpay.app.settings import Settings
from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.postgres.installation import current_epoch
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.foundation.seams.intake import Intake, StaleEpoch
from voltpay.migrations import migrate_up, needs_migration

_UNFINISHED: Final = -1
"""The epoch of a log whose purge was interrupted: it is purged again."""


def prepare(settings: Settings) -> list[str]:
    """Migrate if needed, prepare topics and groups, make the ledger's days; gives the steps done.

    Repeating it is harmless. Raises Misconfigured or Unavailable.
    """
    refuse_wrong_urls(settings)
    url = settings.database_url.get_secret_value()
    applied = migrate_up(url) if needs_migration(url) else []
    asyncio.run(_prepare_log_and_days(settings))
    return applied


async def _log_epoch(intake: Intake) -> int:
    try:
        return await intake.epoch()
    except StaleEpoch:
        return _UNFINISHED


async def _refuse_unsafe(database: Postgres) -> None:
    for name in ("fsync", "full_page_writes"):
        if await database.fetch_value(f"show {name}") != "on":
            raise Misconfigured(f"PostgreSQL has {name} off", f"set {name} = on: books are kept")


async def _prepare_log_and_days(settings: Settings) -> None:
    opened = open_engines(settings, "prepare")
    house = build(settings, opened)
    primary = opened.engines.primary("prepare", size_max=1)
    try:
        await _refuse_unsafe(primary)
        await opened.engines.admin.prepare()
        # A log that lost its folder starts at epoch 0 again; what it accepts would be dropped.
        epoch = await current_epoch(primary)
        if await _log_epoch(opened.engines.intake) < epoch:
            await opened.engines.admin.purge(epoch)
        await house.ledger.prepare_days()
        # Last: services that wait for their logins find all of it there.
        await set_rights(primary, settings)
    finally:
        await primary.close()
        await house.close()
        await opened.close()
