"""Starts, watches and stops the embedded engines of one data folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from voltpay.foundation.engines.embedded.files import told_plainly
from voltpay.foundation.engines.embedded.folder import EngineUrls, folder_of
from voltpay.foundation.engines.embedded.locks import Ownership
from voltpay.foundation.engines.embedded.postgres import PostgresCluster
from voltpay.foundation.engines.embedded.server import Server
from voltpay.foundation.engines.embedded.standby import PostgresStandby
from voltpay.foundation.engines.embedded.valkey import Valkey

_MIB: Final = 1024 * 1024


class EmbeddedEngines:
    """PostgreSQL (`postgres`) and two Valkey servers (`log`, `cache`) in one data folder.

    With `with_replica` a standby (`replica`) follows PostgreSQL.

    Synchronous, without thread and event loop. The servers outlive a supervisor that is killed;
    the next `start` stops them and starts its own.
    """

    def __init__(
        self,
        data: Path,
        *,
        log_memory_bytes: int = 1024 * _MIB,
        cache_memory_bytes: int = 24 * _MIB,
        shared_buffers_mb: int = 32,
        with_replica: bool = False,
    ) -> None:
        self._folder = folder_of(data)
        self._ownership = Ownership(self._folder.data)
        primary = PostgresCluster(self._folder, shared_buffers_mb)
        self._programs = (
            primary,
            Valkey(self._folder, "log", log_memory_bytes),
            Valkey(self._folder, "cache", cache_memory_bytes),
        )
        standby = PostgresStandby(self._folder, primary, shared_buffers_mb)
        self._standbys = (standby,) if with_replica else ()
        self._servers = tuple(Server(program) for program in (*self._programs, *self._standbys))

    def start(self) -> EngineUrls:
        """Start all and return when each one serves, making the cluster at the first use.

        Raises Misconfigured if the folder is in use or unfit, or if a server does not start.
        """
        self._folder.prepare()
        with told_plainly(self._folder.data):
            self._ownership.take()
        try:
            with told_plainly(self._folder.data):
                self._folder.prepare_sockets()
                self._launch()
                return self.urls
        except BaseException:
            self.stop()
            raise

    def check(self) -> list[str]:
        """Start again what died; names of those started now. Does not wait until they serve."""
        return [server.name for server in self._servers if server.revive()]

    def stop(self) -> None:
        """Stop all cleanly, in bounded time, and give the folder back."""
        for server in self._servers:
            server.ask_to_stop()
        for server in self._servers:
            server.stop()
        self._folder.remove_sockets()
        self._ownership.give_back()

    @property
    def urls(self) -> EngineUrls:
        """Addresses of the engines; known after the first start."""
        return self._folder.urls

    def pids(self) -> Mapping[str, int]:
        """The pid of every server that runs now, by name."""
        return {server.name: server.pid for server in self._servers if server.pid is not None}

    def _launch(self) -> None:
        for program in (*self._programs, *self._standbys):
            program.make()
        if not self._standbys:
            # It would miss what happens from now on.
            self._folder.replica_in_step.unlink(missing_ok=True)
        count = len(self._programs)
        for servers in (self._servers[:count], self._servers[count:]):
            for server in reversed(servers):
                server.launch()
            for server in servers:
                server.wait()
