"""What one revision does: its plain SQL, through Alembic's connection."""

from collections.abc import Callable

from voltpay.migrations.scripts import script_of


def step(revision: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """The functions `upgrade` and `downgrade` of a revision."""

    def upgrade() -> None:
        _run(script_of(revision).sql("up"))

    def downgrade() -> None:
        _run(script_of(revision).sql("down"))

    return upgrade, downgrade


def _run(sql: str) -> None:
    from alembic import context, op  # noqa: PLC0415

    if context.is_offline_mode():
        op.get_context().impl.static_output(sql)
        return
    connection = op.get_bind()
    # The driver begins its transaction at the first statement that passes through SQLAlchemy;
    # the script goes round it, because only the simple protocol takes several statements.
    connection.exec_driver_sql("select 1")
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.run_async(lambda raw: raw.execute(sql))
