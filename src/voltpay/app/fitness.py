"""What settings must be to each other, and what real money needs of them."""

from operator import attrgetter
from typing import Final

from voltpay.foundation.engines.kafka.settings import KafkaSettings
from voltpay.services.routing.settings import RoutingSettings

_ORDERED: Final = (
    ("dispatch.workers_min", "dispatch.workers_max"),
    ("dispatch.take_min", "dispatch.take_max"),
    ("dispatch.backlog_low", "dispatch.backlog_high"),
    ("breaker.pause_ms", "breaker.pause_max_ms"),
    ("lane.limit_min", "lane.limit_start"),
    ("resolve.ask_first_ms", "resolve.ask_max_ms"),
)
_COPIES_MIN: Final = 3
_CONFIRMED_MIN: Final = 2


def refuse_disorder(routing: RoutingSettings) -> None:
    """Raise ValueError for a lower bound that is above its upper one."""
    for lower, upper in _ORDERED:
        if attrgetter(lower)(routing) > attrgetter(upper)(routing):
            raise ValueError(f"routing.{lower} is above routing.{upper}")


def refuse_unfit_for_production(kafka: KafkaSettings | None, *, is_sandbox: bool) -> None:
    """Raise ValueError for what may lose or empty books of real money. `kafka`: if the log is."""
    if is_sandbox:
        raise ValueError("with the profile production, sandbox is true: anybody could empty it")
    if kafka and (kafka.replication < _COPIES_MIN or kafka.in_sync_min < _CONFIRMED_MIN):
        raise ValueError(
            f"with the profile production, kafka.replication is below {_COPIES_MIN}"
            f" or kafka.in_sync_min below {_CONFIRMED_MIN}"
        )
