"""The installation's own row: the epoch that a sandbox purge raises."""

from voltpay.foundation.engines.postgres.pool import Postgres, Session


async def raise_epoch(session: Session) -> int:
    """Raise the epoch in this transaction; who writes waits for it. Gives the new one."""
    value = await session.fetch_value(
        "update reference.installation set epoch = epoch + 1 returning epoch"
    )
    assert isinstance(value, int)
    return value


async def current_epoch(database: Postgres) -> int:
    """The epoch now."""
    value = await database.fetch_value("select epoch from reference.installation")
    assert isinstance(value, int)
    return value
