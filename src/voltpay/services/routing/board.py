"""The board that all processes of routing share: the processors' health, and their lanes."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from voltpay.foundation.engines.postgres.pool import Postgres

_PROBE = """
insert into routing.health (processor, probed_at) select unnest($1::text[]), now()
on conflict (processor) do update set probed_at = excluded.probed_at
 where routing.health.probed_at <= now() - $2 * interval '1 ms'
returning processor"""
_HEARD = """
update routing.health set answered_at = now(), failing = $2, min_response_ms = $3
 where processor = $1"""
_HUSHED = """
update routing.health set probed_at = now() + ($2::bigint - $3::bigint) * interval '1 ms'
 where processor = $1 and $2::bigint > $3::bigint"""
_HEALTH = """
select processor, failing, min_response_ms,
       (extract(epoch from clock_timestamp() - answered_at) * 1000)::bigint as age_ms
  from routing.health where answered_at is not null"""
_SHOW = """
insert into routing.lane (instance, processor, view, seen_at)
select $1, processor, view::jsonb, now()
  from unnest($2::text[], $3::text[]) as w (processor, view)
on conflict (instance, processor) do update set view = excluded.view, seen_at = now()"""
_LANES = """
select processor, view::text from routing.lane where seen_at > now() - $1 * interval '1 ms'"""
_FORGET = "delete from routing.lane where seen_at < now() - interval '1 hour'"


class HealthRow(Struct, frozen=True):
    """What a processor last said of itself, and how long ago."""

    processor: str
    failing: bool
    min_response_ms: int
    age_ms: int


class LaneView(Struct, frozen=True):
    """A lane of one process as it shows it. `charges` counts the last minute, fading."""

    breaker: str
    latency_ms: int
    in_flight: int
    limit: int
    charges: float


class Board:
    """What `instance` (this process) writes for all to read. Losing it is harmless."""

    def __init__(self, database: Postgres, instance: str) -> None:
        self._database = database
        self._instance = instance

    async def claim_probes(self, processors: Sequence[str], interval_ms: int) -> Sequence[str]:
        """Those of the processors that this process may ask for health now: one call each."""
        rows = await self._database.fetch(_PROBE, list(processors), interval_ms)
        return [row["processor"] for row in rows]

    async def heard(self, processor: str, failing: bool, min_response_ms: int) -> None:
        """Share what a processor said of itself."""
        await self._database.execute(_HEARD, processor, failing, min_response_ms)

    async def hushed(self, processor: str, retry_after_ms: int, interval_ms: int) -> None:
        """It wants to be left alone for so long, if that is longer than the interval."""
        await self._database.execute(_HUSHED, processor, retry_after_ms, interval_ms)

    async def health(self) -> Sequence[HealthRow]:
        """What all processors last said, with its age."""
        return [HealthRow(*row.values()) for row in await self._database.fetch(_HEALTH)]

    async def show_lanes(self, views: Mapping[str, LaneView]) -> None:
        """Show this process's lanes to all, by processor."""
        texts = [_ENCODER.encode(view).decode() for view in views.values()]
        await self._database.execute(_SHOW, self._instance, list(views), texts)

    async def lanes(self, age_ms_max: int) -> Sequence[tuple[str, LaneView]]:
        """The lanes of all processes that were shown lately, each with its processor."""
        rows = await self._database.fetch(_LANES, age_ms_max)
        return [(row["processor"], _DECODER.decode(row["view"])) for row in rows]

    async def forget_lanes(self) -> None:
        """Drop lanes of processes that are long gone."""
        await self._database.execute(_FORGET)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(LaneView)
