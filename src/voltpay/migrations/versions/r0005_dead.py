"""Dead letters: what no stage could handle, payload sealed."""

from voltpay.migrations.steps import step

revision = "0005"
down_revision = "0004"
upgrade, downgrade = step(revision)
