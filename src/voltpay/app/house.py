"""The house: every service built on the engines of this process, and linked to the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Gauge

from voltpay.app.engines import Opened
from voltpay.app.links import charges_of, forgets_answers, letters_of
from voltpay.app.purge import Purge, PurgeOne
from voltpay.app.settings import Settings
from voltpay.app.topology import STAGES, TopicNames, publisher, stage_named, topics_of
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.runtime.parts import Part, Periodic
from voltpay.foundation.runtime.stages import Publisher
from voltpay.processors import registry
from voltpay.processors.seam import Processor
from voltpay.services.dead import wire as dead
from voltpay.services.ingest import wire as ingest
from voltpay.services.inquiry import wire as inquiry
from voltpay.services.ledger import wire as ledger
from voltpay.services.routing import wire as routing

TRIM_EVERY_MS: Final = 1_000
COUNT_EVERY_MS: Final = 1_000
_BACKLOG = Gauge("voltpay_log_backlog", "Records that a group has not finished", ["topic", "group"])
_LAG = Gauge("voltpay_consumer_lag", "The same by partition", ["topic", "group", "partition"])
OBSERVE_EVERY_MS: Final = 5_000


@dataclass(frozen=True)
class House:
    """All services of one process. Nothing is connected before it is used."""

    engines: Engines
    processors: Sequence[Processor]
    parts: Mapping[str, Part]
    operations: Mapping[str, Mapping[str, Any]]
    publish: Publisher
    routing: routing.Routing
    ledger: ledger.Ledger
    inquiry: inquiry.Inquiry
    dead: dead.Dead

    async def close(self) -> None:
        """Close what the services opened."""
        for part in self.parts.values():
            await part.close()


def build(settings: Settings, opened: Opened) -> House:
    """Put the services together, links filled."""
    engines = opened.engines
    publish = publisher(settings.topics)
    processors = [registry.make(each) for each in settings.processors]
    books = ledger.build(engines, settings.ledger)
    routes = routing.build(
        engines,
        settings.routing,
        list(zip(settings.processors, processors, strict=True)),
        publish,
        books.posted_among,
        forgets_answers(engines.cache),
    )
    letters = dead.build(engines, has_open_attempt=routes.census.has_open_attempt)
    answers = inquiry.build(
        engines,
        settings.inquiry,
        processors=[each.name for each in settings.processors],
        currency_default=settings.currency,
        settled_ends=lambda: engines.log.ends(settings.topics.settled),
        attempts_of=charges_of(routes),
        dead_of=letters_of(letters),
    )
    intake = _ingest(settings, engines, publish, routes)
    parts = {
        "ingest": intake.part,
        "routing": routes.part,
        "ledger": books.part,
        "inquiry": answers.part,
        "dead": letters.part,
        "log": Part(periodics=_upkeep(engines, settings.topics)),
        "cache": Part(periodics=[_observing(opened)]),
        "sandbox": _sandbox(
            settings, engines, (books.purge, routes.purge, answers.purge, letters.purge)
        ),
    }
    return House(
        engines=engines,
        processors=processors,
        parts=parts,
        operations=intake.operations,
        publish=publish,
        routing=routes,
        ledger=books,
        inquiry=answers,
        dead=letters,
    )


def _ingest(
    settings: Settings, engines: Engines, publish: Publisher, routes: routing.Routing
) -> ingest.Ingest:
    return ingest.build(
        engines,
        settings.ingest,
        publish=publish,
        takes=routes.takes,
        currency_default=settings.currency,
        accepted_topic=settings.topics.accepted,
        routing_group=stage_named("route").group,
    )


def _sandbox(settings: Settings, engines: Engines, purges: Sequence[PurgeOne]) -> Part:
    if not settings.sandbox:
        return Part()
    return Purge(engines, purges, settings.processors).part()


def _observing(opened: Opened) -> Periodic:
    return Periodic("cache.observe", OBSERVE_EVERY_MS, opened.cache.observe, is_needed=False)


def _upkeep(engines: Engines, topics: TopicNames) -> Sequence[Periodic]:
    async def trim() -> None:
        await engines.admin.trim()

    async def count() -> None:
        for stage in STAGES:
            for topic in topics_of(stage, topics):
                lags = await engines.log.lag(topic, stage.group)
                _BACKLOG.labels(topic, stage.group).set(sum(lags.values()))
                for partition, lag in lags.items():
                    _LAG.labels(topic, stage.group, partition).set(lag)

    return [
        Periodic("log.trim", TRIM_EVERY_MS, trim),
        Periodic("log.count", COUNT_EVERY_MS, count, is_needed=False),
    ]
