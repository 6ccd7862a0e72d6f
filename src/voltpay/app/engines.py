"""URL to opened engine: the only place that names a concrete one. Opening connects nothing."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from voltpay.app.links import StatusNoting
from voltpay.app.log_engines import (
    IntakeEngine,
    LogEngine,
    kafka_is_readable,
    on_kafka,
    on_redis,
)
from voltpay.app.settings import Settings
from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.redis import connect as redis
from voltpay.foundation.engines.redis.cache import RedisCache
from voltpay.foundation.runtime.courtesy import Courtesy
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.seams.clock import SystemClock

_REDIS = ("redis://", "rediss://", "unix://")
_KAFKA = ("kafka://",)
_POSTGRESQL = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Opened:
    """The engines of this process, and what closes them."""

    engines: Engines
    log: LogEngine
    intake: IntakeEngine
    cache: RedisCache

    async def close(self) -> None:
        """Close every connection."""
        await self.intake.close()
        await self.log.close()
        await self.cache.close()


def open_engines(settings: Settings, role: str, courtesy: Path | None = None) -> Opened:
    """Engines by the URLs of the settings. Raises Misconfigured for a URL that none speaks.

    `courtesy` is the file by which roles that share a machine ask one another to hold back.
    """
    refuse_wrong_urls(settings)
    database = settings.database_url.get_secret_value()
    sealer = _sealer(settings.secret.get_secret_value())
    instance = f"{role}-{os.getpid()}-{os.urandom(4).hex()}"
    open_log = on_kafka if settings.is_on_kafka else on_redis
    log, intake = open_log(settings, instance)
    cache = RedisCache(settings.cache_url)
    engines = Engines(
        log=StatusNoting(log, cache),
        admin=log,
        intake=intake,
        cache=cache,
        database_url=database,
        replica_urls=[url.get_secret_value() for url in settings.replica_urls],
        sealer=sealer,
        instance=instance,
        courtesy=Courtesy(SystemClock(), courtesy),
    )
    return Opened(engines, log, intake, cache)


def _sealer(secret: str) -> Sealer:
    if not secret:
        raise Misconfigured("there is no secret", "set VOLTPAY_SECRET to 32 characters or more")
    return Sealer(secret.encode())


def refuse_wrong_urls(settings: Settings) -> None:
    """Raise Misconfigured for an engine's URL that is missing, or that nothing can connect to."""
    if settings.is_on_kafka:
        _refuse("log_url", settings.log_url, _KAFKA, kafka_is_readable)
        _refuse("claims_url", settings.claims_url, _REDIS, redis.is_readable)
    else:
        _refuse("log_url", settings.log_url, (*_REDIS, *_KAFKA), redis.is_readable)
    _refuse("cache_url", settings.cache_url, _REDIS, redis.is_readable)
    _refuse(
        "database_url", settings.database_url.get_secret_value(), _POSTGRESQL, _has_readable_hosts
    )
    for replica in settings.replica_urls:
        _refuse("replica_urls", replica.get_secret_value(), _POSTGRESQL, _has_readable_hosts)


def _refuse(
    name: str, url: str, schemes: tuple[str, ...], is_readable: Callable[[str], bool]
) -> None:
    variable = f"VOLTPAY_{name.upper()}"
    if not url:
        raise Misconfigured(f"{name} is not set", f"set {variable} to {' or '.join(schemes)}…")
    if not url.startswith(schemes):
        scheme, mark, _ = url.partition("://")
        shown = f"begins with {scheme}://" if mark else "has no scheme"
        raise Misconfigured(f"{name} {shown}", f"begin {variable} with {' or '.join(schemes)}")
    # What is wrong with it is not shown: a password with a slash is read as a port.
    if not is_readable(url):
        raise Misconfigured(
            f"{name} cannot be read",
            f"mend port and options of {variable}; in a password write / as %2F, @ as %40",
        )


def _has_readable_hosts(url: str) -> bool:
    """Whether hosts and ports of a PostgreSQL can be told; there may be several."""
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2]
        for host in hosts.split(","):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        return False
    return True
