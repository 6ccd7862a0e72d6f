"""One linear history of all schemas, in plain SQL: `sql/NNNN_name.up.sql` and `.down.sql`."""

from voltpay.migrations.history import Step, needs_migration, newer_than_this, status
from voltpay.migrations.runner import migrate_down, migrate_up

__all__ = ["Step", "migrate_down", "migrate_up", "needs_migration", "newer_than_this", "status"]
