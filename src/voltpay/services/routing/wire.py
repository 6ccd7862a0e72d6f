"""Routing put together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.postgres.pool import Session
from voltpay.foundation.runtime.parts import Part, Periodic
from voltpay.foundation.runtime.stages import Publisher
from voltpay.processors.seam import Processor
from voltpay.processors.settings import ProcessorSettings
from voltpay.services.routing.api import Listed, ProcessorsView, handlers, views_of
from voltpay.services.routing.attempts import Attempts, AttemptView, ConflictView
from voltpay.services.routing.board import Board
from voltpay.services.routing.census import Census
from voltpay.services.routing.lane import Lane
from voltpay.services.routing.lanes import Lanes
from voltpay.services.routing.probe import Probe
from voltpay.services.routing.repeats import OnConflict, Repeats
from voltpay.services.routing.resolve import Resolve
from voltpay.services.routing.restraint import Restraint
from voltpay.services.routing.route import Route
from voltpay.services.routing.settings import RoutingSettings
from voltpay.services.routing.store import Store, purge
from voltpay.services.routing.sweep import PostedAmong, Sweep

_NOTICE_MS = 100


@dataclass(frozen=True)
class Routing:
    """The part of routing, and what it gives to others.

    `route.on_change` is for the loop to set. `takes` says whether any processor takes a currency.
    """

    part: Part
    route: Route
    takes: Callable[[str], bool]
    attempts_of: Callable[[UUID], Awaitable[Sequence[AttemptView]]]
    conflicts_of: Callable[[UUID], Awaitable[Sequence[ConflictView]]]
    views: Callable[[], Awaitable[ProcessorsView]]
    census: Census
    purge: Callable[[Session], Awaitable[None]]


def build(
    engines: Engines,
    settings: RoutingSettings,
    processors: Sequence[tuple[ProcessorSettings, Processor]],
    publisher: Publisher,
    posted_among: PostedAmong,
    on_conflict: OnConflict,
) -> Routing:
    """Put routing together; opens nothing. Closing the part closes the processors, too."""
    database = engines.primary("routing", size_max=2 * settings.groups_in_flight + 3)
    store = Store(database, engines.instance)
    board = Board(database, engines.instance)
    attempts = Attempts(
        store,
        groups_in_flight=settings.groups_in_flight,
        pace_s=settings.dispatch.pace_ms / 1000,
    )
    lanes = _lanes(engines, settings, processors)
    restraint = Restraint(engines.courtesy, engines.clock, settings.dispatch.held_min)
    repeats = Repeats(store, on_conflict)
    route = Route(lanes, attempts, repeats, settings, engines.clock, restraint)
    listed = [Listed(lane.name, lane.currencies, lane.fee) for lane in lanes.all]
    sweep = Sweep(store, engines.log, publisher, posted_among, settings.sweep)
    probe = Probe(lanes, board, settings.probe, engines.clock)

    async def tidy() -> None:
        await sweep()
        await board.forget_lanes()

    async def close() -> None:
        await attempts.drain()
        for lane in lanes.all:
            await lane.processor.close()
        await database.close()

    part = Part(
        stages={"route": route},
        handlers=handlers(board, listed),
        periodics=[
            Periodic("routing.probe", settings.probe.every_ms, probe),
            Periodic("routing.notice", _NOTICE_MS, route.notice),
            Periodic("routing.sweep", settings.sweep.every_ms, tidy),
            *_resolvers(engines, settings, publisher, store, attempts, lanes, route),
        ],
        close=close,
    )
    return Routing(
        part,
        route,
        takes=lambda currency: currency in lanes.currencies,
        attempts_of=store.attempts_of,
        conflicts_of=store.conflicts_of,
        views=partial(views_of, board, listed),
        census=Census(database),
        purge=purge,
    )


def _resolvers(
    engines: Engines,
    settings: RoutingSettings,
    publisher: Publisher,
    store: Store,
    attempts: Attempts,
    lanes: Lanes,
    route: Route,
) -> list[Periodic]:
    def resolver(lane: Lane) -> Resolve:
        return Resolve(
            lane,
            store,
            attempts,
            engines.log,
            publisher,
            settings,
            engines.clock,
            engines.chance,
            lambda: route.sending,
        )

    every_ms = settings.resolve.every_ms
    return [
        Periodic(f"routing.resolve.{lane.name}", every_ms, resolver(lane)) for lane in lanes.all
    ]


def _lanes(
    engines: Engines,
    settings: RoutingSettings,
    processors: Sequence[tuple[ProcessorSettings, Processor]],
) -> Lanes:
    share = settings.lane.sockets_max // max(1, len(processors))
    lanes = [
        Lane(one, processor, settings, engines.clock, min(share, one.calls_max))
        for one, processor in processors
    ]
    return Lanes(lanes, engines.clock, settings.lane.slow_ms)
