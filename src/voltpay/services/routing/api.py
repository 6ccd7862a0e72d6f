"""GET /processors: health, breaker, latency, fee, share, in flight, over all processes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Protocol

from litestar import Response, get
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from voltpay.foundation.runtime.http import AnyRequest, answer, problems, refuse_unknown_query
from voltpay.services.routing.board import HealthRow, LaneView

_SHOWN_MAX_MS: Final = 15_000
_WORST: Final = ("open", "half-open", "closed")


class ProcessorHealth(Struct, frozen=True, rename="camel"):
    """What a processor last said of itself, and how long ago."""

    failing: bool
    min_response_time: int
    age_ms: int


class ProcessorView(Struct, frozen=True, rename="camel"):
    """One processor. `health` is null before its first answer, `breaker` while nobody routes.

    `fee` is a fraction of the amount, `share` its part of the charges of the last minute.
    """

    name: str
    currencies: Sequence[str]
    fee: Decimal
    health: ProcessorHealth | None
    breaker: str | None
    latency_ms: int
    share: Decimal
    in_flight: int
    limit: int


class ProcessorsView(Struct, frozen=True, rename="camel"):
    """All processors, the cheapest first."""

    items: Sequence[ProcessorView]


class Listed(Struct, frozen=True):
    """What the settings say of a processor."""

    name: str
    currencies: frozenset[str]
    fee: Decimal


class ViewBoard(Protocol):
    """What the view asks of the shared board."""

    async def health(self) -> Sequence[HealthRow]:
        """What all processors last said."""
        ...

    async def lanes(self, age_ms_max: int) -> Sequence[tuple[str, LaneView]]:
        """The lanes of all processes that were shown lately."""
        ...


def handlers(board: ViewBoard, listed: Sequence[Listed]) -> list[ControllerRouterHandler]:
    """The handlers of routing."""

    @get("/processors", responses=problems(400, 503), summary="Processors and how they are")
    async def processors(request: AnyRequest) -> Response[ProcessorsView]:
        refuse_unknown_query(request, frozenset())
        return answer(await views_of(board, listed))

    return [processors]


async def views_of(board: ViewBoard, listed: Sequence[Listed]) -> ProcessorsView:
    """All processors as they are now, the cheapest first."""
    health = {row.processor: row for row in await board.health()}
    lanes = await board.lanes(_SHOWN_MAX_MS)
    total = sum(lane.charges for _, lane in lanes)
    items = [
        view_of(
            one, health.get(one.name), [lane for name, lane in lanes if name == one.name], total
        )
        for one in sorted(listed, key=lambda one: (one.fee, one.name))
    ]
    return ProcessorsView(items)


def view_of(
    listed: Listed, health: HealthRow | None, lanes: Sequence[LaneView], charges: float
) -> ProcessorView:
    """A processor over the lanes of all processes: the worst breaker, sums, the mean latency."""
    states = {lane.breaker for lane in lanes}
    own = sum(lane.charges for lane in lanes)
    return ProcessorView(
        listed.name,
        sorted(listed.currencies),
        listed.fee,
        _health_view(health),
        next((state for state in _WORST if state in states), None),
        round(sum(lane.latency_ms for lane in lanes) / len(lanes)) if lanes else 0,
        round(Decimal(own / charges if charges else 0), 3),
        sum(lane.in_flight for lane in lanes),
        sum(lane.limit for lane in lanes),
    )


def _health_view(health: HealthRow | None) -> ProcessorHealth | None:
    if health is None:
        return None
    return ProcessorHealth(health.failing, health.min_response_ms, health.age_ms)


def _of(name: str, lanes: Sequence[tuple[str, LaneView]]) -> list[LaneView]:
    return [lane for processor, lane in lanes if processor == name]
