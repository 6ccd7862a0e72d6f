"""A standby of the embedded PostgreSQL: a copy that follows it, for questions."""

import shutil
from typing import Final

from voltpay.foundation.engines.embedded.files import make_private, write_private
from voltpay.foundation.engines.embedded.folder import Folder
from voltpay.foundation.engines.embedded.postgres import PostgresCluster
from voltpay.foundation.engines.embedded.postgres_settings import quoted

_SETTINGS: Final = """
primary_conninfo = '{primary}'
hot_standby_feedback = on
max_standby_streaming_delay = 1s
"""
"""A question may hold up what is replayed for a second, and then it is asked elsewhere."""


class PostgresStandby(PostgresCluster):
    """Made by `pg_basebackup` from the primary, which must serve by then."""

    name = "replica"

    def __init__(self, layout: Folder, primary: PostgresCluster, shared_buffers_mb: int) -> None:
        super().__init__(layout, shared_buffers_mb)
        self._primary = primary

    def prepare(self, lock: int) -> None:
        """Copy the primary if this is no copy that was in step, and write its settings."""
        if not self._layout.replica_in_step.exists():
            shutil.rmtree(self._cluster, ignore_errors=True)
        super().prepare(lock)
        self._write(self._cluster / "standby.signal", "")
        write_private(self._layout.replica_in_step, b"")

    def settings_of_its_own(self) -> str:
        """Whom it follows, and how."""
        # Words of a connection are quoted as those of a configuration file are.
        words = {"host": str(self._primary.sockets), "password": self._password()}
        told = " ".join(f"{name}='{quoted(word)}'" for name, word in words.items())
        return _SETTINGS.format(primary=quoted(f"user=voltpay application_name=replica {told}"))

    def _password(self) -> str:
        return self._layout.password.read_text(encoding="utf-8").strip()

    def _make_cluster(self, lock: int) -> None:
        fresh = self.folder / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        make_private(fresh)
        self.launcher.own(fresh)
        # The checkpoint at once: a spread one takes minutes.
        how = ["--checkpoint=fast", "--wal-method=stream", f"--pgdata={fresh}", "--no-password"]
        whom = [f"--host={self._primary.sockets}", "--username=voltpay"]
        password = {"PGPASSWORD": self._password()}
        self._run(lock, "pg_basebackup", *how, *whom, environment=password)
        fresh.rename(self._cluster)

    def _give_rights(self, lock: int) -> None:
        """It has what the primary gave."""
