"""The engines of one process, opened, as services receive them."""

from dataclasses import dataclass, field

from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.foundation.runtime.courtesy import Courtesy
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.seams.cache import Cache
from voltpay.foundation.seams.clock import Chance, Clock, SystemChance, SystemClock
from voltpay.foundation.seams.intake import Intake
from voltpay.foundation.seams.log import Log, LogAdmin


@dataclass(frozen=True)
class Engines:
    """Seams filled with engines. `instance` names this process among all that ever ran."""

    log: Log
    admin: LogAdmin
    intake: Intake
    cache: Cache
    database_url: str
    replica_url: str
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

    def replica(self, name: str, *, size_max: int = 4, timeout_ms: int = 5_000) -> Postgres:
        """A pool for a service that only reads; what it reads may be late."""
        return Postgres(
            self.replica_url, name=f"voltpay:{name}", size_max=size_max, timeout_ms=timeout_ms
        )
