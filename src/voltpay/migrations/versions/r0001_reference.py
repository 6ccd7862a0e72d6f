"""What several services refer to, and the installation itself."""

from voltpay.migrations.steps import step

revision = "0001"
down_revision = None
upgrade, downgrade = step(revision)
