"""Make an installation ready to run: schema, log, the ledger's days."""

import asyncio

from voltpay.app.engines import open_engines
from voltpay.app.house import build
from voltpay.app.settings import Settings
from voltpay.foundation.engines.postgres.installation import current_epoch
from voltpay.migrations import migrate_up, needs_migration


def prepare(settings: Settings) -> list[str]:
    """Migrate if needed, prepare topics and groups, make the ledger's days; gives the steps done.

    Repeating it is harmless. Raises Misconfigured or Unavailable.
    """
    url = settings.database_url.get_secret_value()
    applied = migrate_up(url) if needs_migration(url) else []
    asyncio.run(_prepare_log_and_days(settings))
    return applied


async def _prepare_log_and_days(settings: Settings) -> None:
    opened = open_engines(settings, "prepare")
    house = build(settings, opened)
    primary = opened.engines.primary("prepare", size_max=1)
    try:
        await opened.engines.admin.prepare()
        # A log that lost its folder starts at epoch 0 again; what it accepts would be dropped.
        epoch = await current_epoch(primary)
        if await opened.engines.intake.epoch() < epoch:
            await opened.engines.admin.purge(epoch)
        await house.ledger.prepare_days()
    finally:
        await primary.close()
        await house.close()
        await opened.close()
