"""Resolve unknown outcomes: ask the processor, repeat the same charge there, or prove it absent.

Absent is proven by a "not there" that was asked for after the longest processing time since the
last POST without a definite answer, counted on this process's own monotonic clock. Every round
takes a turn of the attempt; what this process remembers of an attempt holds only while no other
process took a turn in between.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog
from msgspec import Struct
from prometheus_client import Counter

from voltpay.core.messages import Message, PaymentDeferred
from voltpay.foundation.runtime.failpoints import reach
from voltpay.foundation.runtime.stages import Publisher
from voltpay.foundation.seams.clock import Chance, Clock
from voltpay.foundation.seams.log import Log
from voltpay.processors.seam import Charge
from voltpay.services.routing.attempts import AttemptKey, AttemptRow, Attempts, AttemptState
from voltpay.services.routing.backoff import full_jitter_ms
from voltpay.services.routing.charge import (
    Contradicted,
    Decided,
    Judgement,
    Refused,
    Undecided,
    charge_of,
    closing_of,
    concluded,
    found,
    judged,
    post,
)
from voltpay.services.routing.lane import Lane
from voltpay.services.routing.repeats import settled_again
from voltpay.services.routing.settings import RoutingSettings

log = structlog.get_logger()

_ROUNDS_MAX: Final = 100
_REMEMBERED_MAX: Final = 100_000
_RESOLVED = Counter(
    "voltpay_routing_resolved", "Rounds of the resolver by outcome", ["processor", "state"]
)


class ResolveStore(Protocol):
    """What the resolver asks of the store."""

    async def claim(
        self, processor: str, *, count: int, lease_ms: int, grace_ms: int, held: Collection[UUID]
    ) -> Sequence[AttemptRow]:
        """Take a turn of attempts that are due; see Store.claim."""
        ...

    async def mark_posted(self, keys: Sequence[AttemptKey]) -> None:
        """They were carried on."""
        ...


class Memory:
    """What this process knows of an attempt from its own turns: nothing of others' POSTs."""

    __slots__ = ("declined", "duplicate", "repeats", "turn", "uncertain_ms")

    def __init__(self, turn: int, uncertain_ms: int) -> None:
        self.turn = turn
        self.uncertain_ms = uncertain_ms
        self.repeats = 0
        self.declined = ""
        self.duplicate = False


class _Turn(Struct, frozen=True):
    """One claimed attempt, held until `from_ms + lease_ms` of this process's monotonic clock."""

    row: AttemptRow
    from_ms: int
    lease_ms: int
    timeout_ms: int
    find_ms: int


class Resolve:
    """The resolver of one lane, so that a slow processor does not hold up another's answers."""

    def __init__(
        self,
        lane: Lane,
        store: ResolveStore,
        attempts: Attempts,
        log: Log,
        publisher: Publisher,
        settings: RoutingSettings,
        clock: Clock,
        chance: Chance,
        held: Callable[[], Collection[UUID]],
    ) -> None:
        self._lane = lane
        self._store = store
        self._attempts = attempts
        self._log = log
        self._publisher = publisher
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._held = held
        self._memory: dict[AttemptKey, Memory] = {}

    async def __call__(self) -> None:
        """Claim what is due, round by round, until nothing is. Raises Unavailable."""
        for _ in range(_ROUNDS_MAX):
            if await self._round() < self._lane.resolve_max:
                return

    async def _round(self) -> int:
        from_ms = self._clock.monotonic_ms()
        timeout_ms = self._lane.charge_timeout_ms(self._lane.offer())
        find_ms = self._settings.resolve.find_timeout_ms
        lease_ms = timeout_ms + 2 * find_ms + self._settings.lease_ms
        rows = await self._store.claim(
            self._lane.name,
            count=self._lane.resolve_max,
            lease_ms=lease_ms,
            grace_ms=self._settings.resolve.foreign_grace_ms,
            held=self._held(),
        )
        if rows:
            reach("resolve.after_claim")
        turns = [_Turn(row, from_ms, lease_ms, timeout_ms, find_ms) for row in rows]
        done = await asyncio.gather(*map(self._take, turns), return_exceptions=True)
        await self._publish([row for row in done if isinstance(row, AttemptRow)])
        for error in done:
            if isinstance(error, BaseException):
                raise error
        return len(rows)

    async def _publish(self, done: Sequence[AttemptRow]) -> None:
        """Say what is known now; the sweeper says it should this process die before."""
        absent = [row for row in done if row.state is AttemptState.ABSENT]
        messages: list[Message] = [message for row in done for message in settled_again(row)]
        messages += [PaymentDeferred(row.payment, "absent") for row in absent]
        if messages:
            reach("resolve.before_publish")
            await self._log.append(self._publisher(messages))
            await self._store.mark_posted([_key(row) for row in absent])
        parked = sum(row.state is AttemptState.PARKED for row in done)
        if parked:
            log.error("routing.attempts_parked", processor=self._lane.name, count=parked)

    async def _take(self, turn: _Turn) -> AttemptRow | None:
        """The attempt after its turn; None if another process took it over meanwhile."""
        row, resolve = turn.row, self._settings.resolve
        judgement = await self._judgement(turn)
        done = concluded(row, judgement, self._lane, self._clock.now_ms())
        after_ms = self._settings.sweep.after_ms
        if done.state is AttemptState.UNKNOWN:
            after_ms = full_jitter_ms(
                row.asked, self._chance, first_ms=resolve.ask_first_ms, max_ms=resolve.ask_max_ms
            )
        else:
            self._memory.pop(_key(row), None)
        if not await self._attempts.close(closing_of(done, ask_after_ms=after_ms)):
            return None
        _RESOLVED.labels(self._lane.name, done.state.value).inc()
        return done

    async def _judgement(self, turn: _Turn) -> Judgement:
        """Ask; if it is not there, repeat the charge or wait, until that proves it absent."""
        memory = self._remembered(turn.row)
        asked_ms = self._clock.monotonic_ms()
        charge = charge_of(turn.row)
        judgement = judged(await found(self._lane, charge, turn.find_ms), charge)
        if judgement is not None:
            return judgement
        proven_ms = memory.uncertain_ms + turn.lease_ms + self._lane.settings.max_processing_ms
        if asked_ms >= proven_ms:
            return _proven(memory, charge)
        if self._may_repeat(memory):
            return await self._repeated(turn, charge, memory)
        return Undecided(turn.row.note)

    def _remembered(self, row: AttemptRow) -> Memory:
        """The memory of the former turn, if that was this process's too, else a new one."""
        key = _key(row)
        memory = self._memory.get(key)
        if memory is None or memory.turn != row.turn - 1:
            if len(self._memory) >= _REMEMBERED_MAX:
                self._memory.clear()
            memory = self._memory[key] = Memory(row.turn, self._clock.monotonic_ms())
        memory.turn = row.turn
        return memory

    def _may_repeat(self, memory: Memory) -> bool:
        return (
            memory.repeats < self._settings.resolve.repeats_max
            and not memory.declined
            and self._lane.lets_repeat()
        )

    async def _repeated(self, turn: _Turn, charge: Charge, memory: Memory) -> Judgement:
        """The same POST again. A definite no answers only this one, not those before."""
        lane, timeout_ms, find_ms = self._lane, turn.timeout_ms, turn.find_ms
        if self._clock.monotonic_ms() + timeout_ms > turn.from_ms + turn.lease_ms:
            return Undecided("the lease ran out before it was repeated")
        call = lane.enter(give_up_ms=timeout_ms + find_ms)
        try:
            judgement = await post(
                lane, call, charge, timeout_ms=timeout_ms, find_timeout_ms=find_ms
            )
        finally:
            lane.leave(call)
        match judgement:
            case Decided(executed=False, declined=declined):
                memory.declined = declined
                return Undecided("declined, yet an earlier charge may be under way")
            case Refused(why=why):
                return Undecided(f"refused, yet an earlier charge may be under way: {why}")
            case Undecided(duplicate=duplicate):
                memory.uncertain_ms = self._clock.monotonic_ms()
                memory.repeats += 1
                memory.duplicate = memory.duplicate or duplicate
        return judgement


def _proven(memory: Memory, charge: Charge) -> Judgement:
    if memory.duplicate:
        return Contradicted("called a duplicate, yet never found")
    if memory.declined:
        return Decided(False, charge.requested_at_ms, memory.declined)
    return Refused("never arrived")


def _key(row: AttemptRow) -> AttemptKey:
    return AttemptKey(row.payment.id, row.number)
