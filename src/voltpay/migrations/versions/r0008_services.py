"""A role of the database a service, with its rights and no others."""

from voltpay.migrations.steps import step

revision = "0008"
down_revision = "0007"
upgrade, downgrade = step(revision)
