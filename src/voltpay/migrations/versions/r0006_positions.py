"""Positions: where on the log a payment's settled fact stood, so that its order can be audited."""

from voltpay.migrations.steps import step

revision = "0006"
down_revision = "0005"
upgrade, downgrade = step(revision)
