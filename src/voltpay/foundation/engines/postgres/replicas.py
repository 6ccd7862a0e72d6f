"""Reads on standbys that keep up, or on the primary where none does or a request must not wait."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from voltpay.foundation.engines.postgres.pool import DatabaseAway, Postgres, Row
from voltpay.foundation.engines.postgres.positions import (
    POSITION,
    Reading,
    current_reading,
    read_from,
)
from voltpay.foundation.seams.clock import Clock

log = structlog.get_logger()
_READS = Counter("voltpay_database_reads_total", "Questions by where they were asked", ["server"])
_LAG = Gauge("voltpay_replica_lag_seconds", "How late a standby is; inf: away", ["server"])
_PRIMARY: Final = "primary"
_POLL_S: Final = 0.01
_POSITIONS_KEPT: Final = 1_024


@dataclass(frozen=True)
class ReplicaBounds:
    """When a standby is left out, and how long a request waits for one to reach a position."""

    lag_max_ms: int = 1_000
    wait_max_ms: int = 50


@dataclass(frozen=True)
class Server:
    """A database for questions, and a connection of its own for looks: they pass a queue by."""

    database: Postgres
    watch: Postgres

    async def close(self) -> None:
        """Close all connections."""
        await self.database.close()
        await self.watch.close()


@dataclass
class _Standby:
    name: str
    server: Server
    is_fit: bool = False
    position: int = 0


@dataclass
class _Past:
    """When the primary was seen where: tells how late a position is."""

    seen: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_POSITIONS_KEPT))

    def add(self, now_ms: int, position: int) -> None:
        self.seen.append((now_ms, position))

    def lag_ms(self, now_ms: int, position: int) -> float:
        """Since when the primary has been further; 0 if it was not seen further."""
        passed = next((at_ms for at_ms, where in self.seen if where > position), None)
        return 0 if passed is None else now_ms - passed


class Replicas:
    """One primary and its standbys, which may be none. `look` is to be called again and again.

    A standby is asked once a look has found it fit; one that fails is left out until the next.
    """

    def __init__(
        self,
        primary: Server,
        standbys: Sequence[Server],
        clock: Clock,
        bounds: ReplicaBounds = ReplicaBounds(),
    ) -> None:
        self._primary = primary
        self._standbys = [
            _Standby(f"replica-{number}", one) for number, one in enumerate(standbys, start=1)
        ]
        self._clock = clock
        self._bounds = bounds
        self._past = _Past()
        self._turns = count()

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]:
        """All rows of a statement that only reads. Raises DatabaseAway, DatabaseRefused."""
        wanted = current_reading()
        standby = await self._standby_for(wanted)
        if standby is not None:
            try:
                return await _asked(standby.name, standby.server, wanted, sql, values)
            except DatabaseAway as error:
                self._leave_out(standby, str(error))
        return await _asked(_PRIMARY, self._primary, wanted, sql, values)

    async def fetch_value(self, sql: str, *values: object) -> object:
        """First column of the first row; None if there is no row."""
        rows = await self.fetch(sql, *values)
        return rows[0][0] if rows else None

    async def look(self) -> None:
        """Find out which standbys keep up with what was seen of the primary up to now."""
        try:
            position = await _position_of(self._primary.watch)
        except DatabaseAway:
            log.warning("replicas.primary_away")
        else:
            self._past.add(self._clock.monotonic_ms(), position)
        await asyncio.gather(*(self._look_at(standby) for standby in self._standbys))

    async def close(self) -> None:
        """Close all connections."""
        for server in (self._primary, *(one.server for one in self._standbys)):
            await server.close()

    async def _look_at(self, standby: _Standby) -> None:
        try:
            standby.position = await _position_of(standby.server.watch)
        except DatabaseAway as error:
            self._leave_out(standby, str(error))
            return
        lag_ms = self._past.lag_ms(self._clock.monotonic_ms(), standby.position)
        _LAG.labels(standby.name).set(lag_ms / 1000)
        if lag_ms > self._bounds.lag_max_ms:
            self._leave_out(standby, f"it is {lag_ms / 1000:.1f} s late", lag_s=lag_ms / 1000)
        elif not standby.is_fit:
            standby.is_fit = True
            log.info("replica.taken", server=standby.name)

    def _leave_out(self, standby: _Standby, why: str, lag_s: float = inf) -> None:
        _LAG.labels(standby.name).set(lag_s)
        if standby.is_fit:
            standby.is_fit = False
            log.warning("replica.left_out", server=standby.name, why=why)

    async def _standby_for(self, wanted: Reading | None) -> _Standby | None:
        """A standby that may answer, by turns; None: the primary."""
        fit = [one for one in self._standbys if one.is_fit]
        if not fit:
            return None
        chosen = fit[next(self._turns) % len(fit)]
        if wanted is None or chosen.position >= wanted.after:
            return chosen
        return chosen if await self._reaches(chosen, wanted.after) else None

    async def _reaches(self, standby: _Standby, position: int) -> bool:
        """Whether it gets there while a request may wait."""
        try:
            async with asyncio.timeout(self._bounds.wait_max_ms / 1000):
                while standby.position < position:
                    standby.position = await _position_of(standby.server.database)
                    if standby.position < position:
                        await asyncio.sleep(_POLL_S)
        except TimeoutError:
            return False
        except DatabaseAway as error:
            self._leave_out(standby, str(error))
            return False
        return True


async def _asked(
    name: str, server: Server, wanted: Reading | None, sql: str, values: Sequence[object]
) -> Sequence[Row]:
    _READS.labels(name).inc()
    if wanted is None:
        return await server.database.fetch(sql, *values)
    async with server.database.session() as session:
        rows = await session.fetch(sql, *values)
        wanted.saw(read_from(await session.fetch_value(POSITION)))
        return rows


async def _position_of(database: Postgres) -> int:
    return read_from(await database.fetch_value(POSITION))
