"""Probe the processors' health at the allowed rate, over all processes; share it, and the lanes.

A claim on the shared row goes before each call, and a call that comes too late after its claim is
not made, so that two are never closer than the interval of the settings less that delay and the
call's own timeout, within which it waits for a connection.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from prometheus_client import Counter

from voltpay.foundation.seams.clock import Clock
from voltpay.processors.seam import Health, NoHealth
from voltpay.services.routing.board import HealthRow, LaneView
from voltpay.services.routing.lane import HealthSeen, Lane
from voltpay.services.routing.lanes import Lanes
from voltpay.services.routing.settings import ProbeSettings

_SHOWN_AGAIN_MS: Final = 5_000
_SHARE_MS: Final = 60_000
_PROBES = Counter("voltpay_routing_probes", "Health calls by outcome", ["processor", "outcome"])


class ProbeBoard(Protocol):
    """What the prober asks of the shared board."""

    async def claim_probes(self, processors: Sequence[str], interval_ms: int) -> Sequence[str]:
        """Those that this process may ask for health now: one call each."""
        ...

    async def heard(self, processor: str, failing: bool, min_response_ms: int) -> None:
        """Share what a processor said of itself."""
        ...

    async def hushed(self, processor: str, retry_after_ms: int, interval_ms: int) -> None:
        """It wants to be left alone for so long."""
        ...

    async def health(self) -> Sequence[HealthRow]:
        """What all processors last said, with its age."""
        ...

    async def show_lanes(self, views: Mapping[str, LaneView]) -> None:
        """Show this process's lanes to all."""
        ...


class Probe:
    """One run a second: claim, call, read what all know, show this process's lanes."""

    def __init__(
        self, lanes: Lanes, board: ProbeBoard, settings: ProbeSettings, clock: Clock
    ) -> None:
        self._lanes = lanes
        self._board = board
        self._settings = settings
        self._clock = clock
        self._shown: Mapping[str, LaneView] = {}
        self._shown_ms = 0
        self._seen_ms = clock.monotonic_ms()
        self._charges = {lane.name: 0.0 for lane in lanes.all}

    async def __call__(self) -> None:
        """One round. Raises Unavailable; what is known then grows old by itself."""
        from_ms = self._clock.monotonic_ms()
        names = await self._board.claim_probes(
            list(self._lanes.by_name), self._settings.interval_ms
        )
        await asyncio.gather(*(self._ask(self._lanes.by_name[name], from_ms) for name in names))
        await self._read()
        await self._show()

    async def _ask(self, lane: Lane, from_ms: int) -> None:
        if self._clock.monotonic_ms() - from_ms > self._settings.late_ms:
            return
        answer = await self._answer_of(lane)
        _PROBES.labels(lane.name, type(answer).__name__.lower()).inc()
        match answer:
            case Health(failing=failing, min_response_ms=min_response_ms):
                await self._board.heard(lane.name, failing, min_response_ms)
            case NoHealth(retry_after_ms=retry_after_ms):
                interval_ms = self._settings.interval_ms
                await self._board.hushed(lane.name, retry_after_ms, interval_ms)

    async def _answer_of(self, lane: Lane) -> Health | NoHealth:
        try:
            return await lane.processor.health(self._settings.timeout_ms)
        except Exception as error:  # noqa: BLE001 - a defect of one adapter stops no other probe
            return NoHealth(type(error).__name__)

    async def _read(self) -> None:
        now_ms = self._clock.monotonic_ms()
        for row in await self._board.health():
            lane = self._lanes.by_name.get(row.processor)
            if lane is not None:
                seen = HealthSeen(row.failing, row.min_response_ms, now_ms - row.age_ms)
                lane.heard(seen)

    async def _show(self) -> None:
        now_ms = self._clock.monotonic_ms()
        views = {lane.name: self._view(lane, now_ms) for lane in self._lanes.all}
        self._seen_ms = now_ms
        if views == self._shown and now_ms - self._shown_ms < _SHOWN_AGAIN_MS:
            return
        await self._board.show_lanes(views)
        self._shown, self._shown_ms = views, now_ms

    def _view(self, lane: Lane, now_ms: int) -> LaneView:
        lane.export()
        kept = max(0.0, 1 - (now_ms - self._seen_ms) / _SHARE_MS)
        self._charges[lane.name] = self._charges[lane.name] * kept + lane.take_charges()
        offer = lane.offer()
        return LaneView(
            breaker=lane.breaker.state.value,
            latency_ms=offer.latency_ms,
            in_flight=lane.in_flight,
            limit=lane.limit,
            charges=round(self._charges[lane.name], 1),
        )
