"""URL to opened engine: the only place that names a concrete one. Opening connects nothing."""

import os
from dataclasses import dataclass

from voltpay.app.links import StatusNoting
from voltpay.app.settings import Settings
from voltpay.app.topology import topic_rows
from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.redis.cache import RedisCache
from voltpay.foundation.engines.redis.intake import RedisIntake
from voltpay.foundation.engines.redis.log import RedisLog
from voltpay.foundation.runtime.sealing import Sealer

_REDIS = ("redis://", "rediss://", "unix://")
_POSTGRESQL = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Opened:
    """The engines of this process, and what closes them."""

    engines: Engines
    log: RedisLog
    intake: RedisIntake
    cache: RedisCache

    async def close(self) -> None:
        """Close every connection."""
        await self.intake.close()
        await self.log.close()
        await self.cache.close()


def open_engines(settings: Settings, role: str) -> Opened:
    """Engines by the URLs of the settings. Raises Misconfigured for a URL that none speaks."""
    database = settings.database_url.get_secret_value()
    _refuse("log_url", settings.log_url, _REDIS)
    _refuse("cache_url", settings.cache_url, _REDIS)
    _refuse("database_url", database, _POSTGRESQL)
    secret = settings.secret.get_secret_value()
    if not secret:
        raise Misconfigured("there is no secret", "set VOLTPAY_SECRET to 32 characters or more")
    instance = f"{role}-{os.getpid()}-{os.urandom(4).hex()}"
    log = RedisLog(
        settings.log_url,
        topics=topic_rows(settings.topics),
        partitions=settings.partitions,
        instance=instance,
        repeat_window_s=settings.repeat_window_s,
    )
    intake = RedisIntake(settings.log_url)
    cache = RedisCache(settings.cache_url)
    engines = Engines(
        log=StatusNoting(log, cache),
        admin=log,
        intake=intake,
        cache=cache,
        database_url=database,
        replica_url=settings.replica_url.get_secret_value() or database,
        sealer=Sealer(secret.encode()),
        instance=instance,
    )
    return Opened(engines, log, intake, cache)


def _refuse(name: str, url: str, schemes: tuple[str, ...]) -> None:
    if not url.startswith(schemes):
        shown = url.partition("://")[0] or "nothing"
        raise Misconfigured(f"{name} is {shown}", f"it takes {', '.join(schemes)}")
