"""The log, and the intake on it: on Redis or Valkey, or on Kafka with the claims beside it."""

from typing import Protocol

from voltpay.app.settings import Settings
from voltpay.app.topology import topic_rows
from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.claimed import ClaimedIntake
from voltpay.foundation.engines.redis.claims import RedisClaims
from voltpay.foundation.engines.redis.intake import RedisIntake
from voltpay.foundation.engines.redis.log import RedisLog
from voltpay.foundation.engines.repeat_window import RepeatWindow
from voltpay.foundation.seams.intake import Intake
from voltpay.foundation.seams.log import Log, LogAdmin

_HOUR_MS = 3_600_000


class LogEngine(Log, LogAdmin, Protocol):
    """A log and its upkeep, which can be closed."""

    async def close(self) -> None:
        """Close every connection."""
        ...


class IntakeEngine(Intake, Protocol):
    """An intake that can be closed."""

    async def close(self) -> None:
        """Close every connection."""
        ...


def on_redis(settings: Settings, instance: str) -> tuple[LogEngine, IntakeEngine]:
    """Streams and claims on one server: claimed and appended in one call."""
    log = RedisLog(
        settings.log_url,
        topics=topic_rows(settings.topics),
        partitions=settings.partitions,
        instance=instance,
        window=_window(settings),
    )
    return log, RedisIntake(settings.log_url)


def on_kafka(settings: Settings, instance: str) -> tuple[LogEngine, IntakeEngine]:  # noqa: ARG001
    """Topics on a cluster; claims, and what Kafka does not keep, on a Redis or Valkey beside it."""
    _refuse_without_client()
    from voltpay.foundation.engines.kafka.admin import Trimming  # noqa: PLC0415 - an extra
    from voltpay.foundation.engines.kafka.checks import Copies  # noqa: PLC0415
    from voltpay.foundation.engines.kafka.groups import StaticName  # noqa: PLC0415
    from voltpay.foundation.engines.kafka.log import KafkaLog  # noqa: PLC0415

    kafka = settings.kafka
    claims = RedisClaims(settings.claims_url, window=_window(settings))
    log = KafkaLog(
        settings.log_url,
        topics=topic_rows(settings.topics),
        partitions=settings.partitions,
        marks=claims,
        prefix=kafka.prefix,
        copies=Copies(kafka.replication, kafka.in_sync_min),
        trimming=Trimming(facts_kept_ms=kafka.facts_kept_h * _HOUR_MS),
        static_name=StaticName(kafka.member, kafka.flush_ms / 1000),
    )
    return log, ClaimedIntake(claims, log.append)


def kafka_is_readable(url: str) -> bool:
    """Whether clients can be made of a URL of Kafka. Raises Misconfigured without the client."""
    _refuse_without_client()
    from voltpay.foundation.engines.kafka.connect import is_readable  # noqa: PLC0415

    return is_readable(url)


def _refuse_without_client() -> None:
    try:
        import confluent_kafka  # noqa: F401, PLC0415
    except ImportError as error:
        raise Misconfigured(
            "log_url is a Kafka, and its client is not installed", "pip install 'voltpay[kafka]'"
        ) from error


def _window(settings: Settings) -> RepeatWindow:
    return RepeatWindow(settings.repeat_window_s, settings.repeat_claims_max)
