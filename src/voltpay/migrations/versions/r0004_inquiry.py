"""The read model: indexed for the questions asked of it, filled from posted facts alone."""

from voltpay.migrations.steps import step

revision = "0004"
down_revision = "0003"
upgrade, downgrade = step(revision)
