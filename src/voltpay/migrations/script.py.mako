"""${message}."""

from voltpay.migrations.steps import step

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
upgrade, downgrade = step(revision)
