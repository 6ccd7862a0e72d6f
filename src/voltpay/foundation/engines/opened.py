"""The engines of one process, opened, as services receive them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.foundation.engines.postgres.replicas import ReplicaBounds, Replicas, Server
from voltpay.foundation.runtime.courtesy import Courtesy
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.seams.cache import Cache
from voltpay.foundation.seams.clock import Chance, Clock, SystemChance, SystemClock
from voltpay.foundation.seams.intake import Intake
from voltpay.foundation.seams.log import Log, LogAdmin

_WATCH_MS: Final = 1_000
_STANDBY_MS: Final = 2_000
"""A standby that takes longer is left out, and the primary asked, before a client gives up."""


@dataclass(frozen=True)
class Engines:
    """Seams filled with engines. `instance` names this process among all that ever ran."""

    log: Log
    admin: LogAdmin
    intake: Intake
    cache: Cache
    database_url: str
    replica_urls: Sequence[str]
    sealer: Sealer
    instance: str
    clock: Clock = field(default_factory=SystemClock)
    chance: Chance = field(default_factory=SystemChance)
    courtesy: Courtesy = field(default_factory=lambda: Courtesy(SystemClock()))

    def primary(self, name: str, *, size_max: int = 4, timeout_ms: int = 10_000) -> Postgres:
        """A pool for a service that writes. Nothing is connected before the first use."""
        return Postgres(
            self.database_url, name=f"voltpay:{name}", size_max=size_max, timeout_ms=timeout_ms
        )

    def replicas(
        self, name: str, bounds: ReplicaBounds, *, size_max: int = 4, timeout_ms: int = 5_000
    ) -> Replicas:
        """Pools for a service that only reads; what it reads may be late, if a request allows."""

        def server(url: str, timeout_ms: int) -> Server:
            return Server(
                Postgres(url, name=f"voltpay:{name}", size_max=size_max, timeout_ms=timeout_ms),
                Postgres(url, name=f"voltpay:{name}-watch", size_max=1, timeout_ms=_WATCH_MS),
            )

        standbys = [server(url, min(timeout_ms, _STANDBY_MS)) for url in self.replica_urls]
        return Replicas(server(self.database_url, timeout_ms), standbys, self.clock, bounds)
