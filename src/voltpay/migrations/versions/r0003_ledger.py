"""The books: append-only payments and postings by day without any index, and balances."""

from voltpay.migrations.steps import step

revision = "0003"
down_revision = "0002"
upgrade, downgrade = step(revision)
