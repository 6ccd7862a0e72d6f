"""Alembic's way into a database: asyncpg, one transaction a script, every step written down."""

import asyncio

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.postgres.pool import translated
from voltpay.migrations import history
from voltpay.migrations.scripts import script_of

_WRITE_DOWN = text(
    "insert into migrations.history (revision, direction, checksum, who, serves)"
    " values (:revision, :direction, :checksum, :who, :serves)"
)


def _url() -> str:
    named = context.get_x_argument(as_dictionary=True).get("url")
    url = context.config.attributes.get("url", named)
    if not isinstance(url, str):
        raise Misconfigured("no database is named", "add `-x url=postgresql://…`")
    return url


async def _online(url: str) -> None:
    async with history.alone(url):
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: history.connected(url),
            poolclass=NullPool,
        )
        try:
            async with translated(), engine.connect() as connection:
                await connection.run_sync(_migrate)
        finally:
            await engine.dispose()


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        version_table_schema=history.SCHEMA,
        transaction_per_migration=True,
        on_version_apply=_write_down,
    )
    with context.begin_transaction():
        context.run_migrations()


def _write_down(ctx: MigrationContext, step: MigrationInfo, *_: object, **__: object) -> None:
    revision = step.up_revision_id
    if step.is_stamp or revision is None or ctx.connection is None:
        return
    direction = "up" if step.is_upgrade else "down"
    row = {
        "revision": revision,
        "direction": direction,
        "checksum": script_of(revision).checksum(direction),
        "who": history.whoami(),
        "serves": script_of(revision).serves(),
    }
    ctx.connection.execute(_WRITE_DOWN, row)
    context.config.attributes.setdefault("done", []).append(revision)


def _offline() -> None:
    context.configure(
        dialect_name="postgresql",
        version_table_schema=history.SCHEMA,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _offline()
else:
    asyncio.run(_online(_url()))
