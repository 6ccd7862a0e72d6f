"""Attempts as values, and the group commit that writes them: one round trip for many payments."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from msgspec import Struct

from voltpay.core.errors import Broken
from voltpay.core.messages import Attempt, PaymentSettled
from voltpay.core.payment import Payment
from voltpay.foundation.runtime.group_commit import GroupCommit

T = TypeVar("T")
R = TypeVar("R")


class AttemptState(StrEnum):
    """The states of an attempt. All but `absent` are live, of which a payment has one at most."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    EXECUTED = "executed"
    DECLINED = "declined"
    PARKED = "parked"


class AttemptKey(NamedTuple):
    """Names an attempt."""

    payment_id: UUID
    number: int


class Opening(Struct, frozen=True):
    """A wish to open attempt `number` of a payment, held by this process for `lease_ms`.

    With a `former_turn` above 0 the attempt before it is made absent in the same step, and
    nothing is opened unless this process still holds that one in that turn.
    """

    payment: Payment
    number: int
    processor: str
    requested_at_ms: int
    explanation: str
    lease_ms: int
    former_turn: int = 0
    former_note: str = ""


class AttemptRow(Struct, frozen=True):
    """An attempt as it stands in the store. `leased` is told by the database's clock."""

    payment: Payment
    number: int
    processor: str
    requested_at_ms: int
    state: AttemptState
    turn: int
    leased: bool
    asked: int
    fee_minor: int
    reason: str
    note: str
    settled_at_ms: int


class Opened(Struct, frozen=True):
    """The attempt was written, is held by this process, and is in this turn."""

    turn: int = 1


class Standing(Struct, frozen=True):
    """Nothing was opened: these attempts stand already, in order. None: the payment is too old.

    Too old means of an epoch before the installation's.
    """

    rows: Sequence[AttemptRow]


OpenResult = Opened | Standing


class Closing(Struct, frozen=True):
    """What an attempt that this process holds in `turn` comes to; its lease ends.

    `ask_after_ms` is when to ask (unknown) or to sweep (settled, absent). `posted` of an absent
    attempt says that its payment needs no sweep: whoever holds its message passes it on.
    """

    payment_id: UUID
    number: int
    turn: int
    state: AttemptState
    requested_at_ms: int
    ask_after_ms: int
    note: str = ""
    fee_minor: int = 0
    settled_at_ms: int | None = None
    posted: bool = False


class AttemptView(Struct, frozen=True):
    """An attempt as an inquiry shows it."""

    number: int
    processor: str
    state: str
    requested_at_ms: int
    settled_at_ms: int | None
    explanation: Mapping[str, object]
    note: str
    payment: Payment
    fee_minor: int


class ConflictView(Struct, frozen=True):
    """Another payment that came under the same id, and the fields that differ."""

    fields: Sequence[str]
    noticed_at_ms: int


class AttemptWriter(Protocol):
    """The store's two writes of the hot path: one statement a group each."""

    async def open(self, openings: Sequence[Opening]) -> Sequence[OpenResult]:
        """Write attempts, no payment twice in one call."""
        ...

    async def close(self, closings: Sequence[Closing]) -> Sequence[bool]:
        """Close attempts, each if this process holds it in its turn; tells which were."""
        ...


class Attempts:
    """Group commit round a store. Raises Unavailable, or Broken for the one that it refuses."""

    def __init__(self, store: AttemptWriter, *, groups_in_flight: int, pace_s: float = 0.0) -> None:
        self._open = GroupCommit(_isolating(_apart(store.open)), lanes=groups_in_flight)
        self._close = GroupCommit(_isolating(store.close), lanes=groups_in_flight, pace_s=pace_s)

    async def open(self, opening: Opening) -> OpenResult:
        """Write the attempt before its POST; Standing if the payment has a live one or others."""
        result = await self._open(opening)
        if isinstance(result, Broken):
            raise result
        return result

    async def close(self, closing: Closing) -> bool:
        """Write what came of it; False if this process no longer holds it."""
        result = await self._close(closing)
        if isinstance(result, Broken):
            raise result
        return result

    async def drain(self) -> None:
        """Wait until all that was asked for is written."""
        await self._open.drain()
        await self._close.drain()


def settled_of(row: AttemptRow) -> PaymentSettled:
    """The message of an attempt that was executed or declined: the same at every call."""
    return PaymentSettled(
        row.payment,
        Attempt(row.number, row.processor, row.requested_at_ms, row.reason),
        executed=row.state is AttemptState.EXECUTED,
        fee_minor=row.fee_minor,
        settled_at_ms=row.settled_at_ms,
        declined=row.note if row.state is AttemptState.DECLINED else "",
    )


def _isolating(
    commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
) -> Callable[[Sequence[T]], Awaitable[Sequence[R | Broken]]]:
    """`commit`, but an item that breaks it fails alone: a group that breaks is halved."""

    async def isolated(items: Sequence[T]) -> Sequence[R | Broken]:
        try:
            return await commit(items)
        except Broken as error:
            if len(items) == 1:
                return [error]
        middle = len(items) // 2
        return [*await isolated(items[:middle]), *await isolated(items[middle:])]

    return isolated


def _apart(
    commit: Callable[[Sequence[Opening]], Awaitable[Sequence[OpenResult]]],
) -> Callable[[Sequence[Opening]], Awaitable[Sequence[OpenResult]]]:
    """`commit`, but a payment that stands twice in a group is committed in two calls.

    RETURNING names the payment: two wishes for one would both take the row for theirs, and both
    would charge.
    """

    async def apart(openings: Sequence[Opening]) -> Sequence[OpenResult]:
        first: dict[UUID, int] = {}
        for i, opening in enumerate(openings):
            first.setdefault(opening.payment.id, i)
        if len(first) == len(openings):
            return await commit(openings)
        head = sorted(first.values())
        tail = sorted(set(range(len(openings))) - set(head))
        results = dict(zip(head, await commit([openings[i] for i in head]), strict=True))
        later = await apart([openings[i] for i in tail])
        results.update(zip(tail, later, strict=True))
        return [results[i] for i in range(len(openings))]

    return apart
