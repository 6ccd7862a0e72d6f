"""The rows that hot statements are given: one array of each instead of one a column."""

from voltpay.migrations.steps import step

revision = "0007"
down_revision = "0006"
upgrade, downgrade = step(revision)
