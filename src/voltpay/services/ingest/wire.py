"""Put ingest together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.runtime.parts import Part, Periodic
from voltpay.foundation.runtime.stages import Publisher
from voltpay.services.ingest import api
from voltpay.services.ingest.accept import Accept
from voltpay.services.ingest.guard import Guard
from voltpay.services.ingest.schema import operations
from voltpay.services.ingest.settings import IngestSettings


@dataclass(frozen=True)
class Ingest:
    """Ingest, and the OpenAPI path items of its raw handler."""

    part: Part
    operations: Mapping[str, Mapping[str, Any]]


def build(
    engines: Engines,
    settings: IngestSettings,
    *,
    publish: Publisher,
    takes: Callable[[str], bool],
    currency_default: str,
    accepted_topic: str,
    routing_group: str,
) -> Ingest:
    """Ingest on these engines. `takes` says whether any processor takes a currency."""
    accept = _accept(engines, settings, publish, takes)

    async def backlog() -> int:
        return await engines.log.backlog(accepted_topic, routing_group)

    guard = Guard(accept, engines.intake, backlog, settings.backlog_max)
    part = Part(
        handlers=api.handlers(accept, settings, currency_default),
        shortcuts=api.shortcuts(accept, settings, currency_default),
        periodics=[Periodic("ingest.guard", 250, guard.look)],
    )
    return Ingest(part, operations(settings.body_bytes_max, takes))


def _accept(
    engines: Engines, settings: IngestSettings, publish: Publisher, takes: Callable[[str], bool]
) -> Accept:
    return Accept(
        engines.intake,
        publish,
        engines.sealer,
        engines.clock,
        settings,
        takes,
        engines.courtesy,
    )
