"""Watch a demo: play the acts on the sandbox processors, and look at everything for the view."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Final

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.demo.load import Load
from voltpay.cli.demo.scenario import Act, Mood, act_at
from voltpay.cli.demo.view import Picture, View
from voltpay.cli.reconciling import sources_of
from voltpay.core.errors import Unavailable
from voltpay.processors.sandbox.control import SandboxControl

_LOOK_EVERY_S: Final = 0.25
_SMOOTHING: Final = 0.3


class Show:
    """Plays the scenario and shows what comes of it."""

    def __init__(
        self,
        house: House,
        settings: Settings,
        load: Load,
        controls: Sequence[SandboxControl],
        seconds: float,
    ) -> None:
        self.has_ended = False
        self.breaker_cycles = 0
        self._house = house
        self._load = load
        self._controls = controls
        self._picture = Picture(seconds=seconds)
        self._sources = sources_of(house, settings)
        self._began = monotonic()
        self._act: Act | None = None
        self._opened: set[str] = set()
        self._is_over = False

    def note(self, waiting: int, still_open: int) -> None:
        """While draining: what is on its way, and how many outcomes are unknown."""
        self._picture.unknown = still_open
        self._picture.title = f"draining, {waiting:,} waiting"

    async def run(self, view: View) -> None:
        """Look and show until `finish`."""
        looked_at = monotonic()
        while not self._is_over:
            before = (self._picture.accepted, self._picture.finished)
            await self._look()
            now = monotonic()
            self._rates(before, now - looked_at)
            looked_at = now
            view.show(self._picture)
            await asyncio.sleep(_LOOK_EVERY_S)
        await self._look()
        self._picture.title = "drained" if not sum(self._picture.backlogs.values()) else "over"
        view.show(self._picture, is_last=True)

    async def finish(self, watching: "asyncio.Task[None]") -> None:
        """One last look, then end."""
        self._is_over = True
        await watching
        await self._sources.database.close()

    async def _look(self) -> None:
        picture = self._picture
        picture.elapsed_s = monotonic() - self._began
        if not self.has_ended:
            await self._play(act_at(picture.elapsed_s, picture.seconds))
        picture.accepted = self._load.accepted
        picture.repeats = self._load.repeats
        picture.p50_ms = self._load.percentile_ms(0.5)
        picture.p99_ms = self._load.percentile_ms(0.99)
        try:
            await self._ask(picture)
        except Unavailable as error:
            picture.title = f"looking: {error.detail}"

    async def _ask(self, picture: Picture) -> None:
        lanes = self._sources.lanes.items()
        picture.backlogs = {name: await lane.backlog() for name, lane in lanes}
        picture.finished = await self._house.inquiry.count_payments()
        picture.unknown = await self._house.routing.census.open_attempts()
        picture.unknown_ever = await self._house.routing.census.unknown_ever()
        picture.processors = (await self._house.routing.views()).items
        for view in picture.processors:
            self._note_breaker(view.name, view.breaker)

    def _note_breaker(self, name: str, state: str | None) -> None:
        if state == "open":
            self._opened.add(name)
        elif state == "closed" and name in self._opened:
            self._opened.discard(name)
            self.breaker_cycles += 1

    async def _play(self, act: Act) -> None:
        if act is self._act:
            return
        self._act = act
        self._picture.title = act.title
        for control, mood in zip(self._controls, (act.default, act.fallback), strict=True):
            await _set(control, mood)

    def _rates(self, before: tuple[int, int], took_s: float) -> None:
        picture = self._picture
        accepted_per_s = (picture.accepted - before[0]) / max(took_s, 0.05)
        finished_per_s = (picture.finished - before[1]) / max(took_s, 0.05)
        picture.rate_per_s += _SMOOTHING * (accepted_per_s - picture.rate_per_s)
        picture.done_per_s += _SMOOTHING * (finished_per_s - picture.done_per_s)


async def _set(control: SandboxControl, mood: Mood) -> None:
    await control.set_delay(mood.delay_ms)
    await control.set_failure(mood.is_failing)
