"""Attempts: the last record of a charge, kept for good."""

from voltpay.migrations.steps import step

revision = "0002"
down_revision = "0001"
upgrade, downgrade = step(revision)
