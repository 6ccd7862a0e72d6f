"""A processor that lies on demand, and a routing put together round it on a real PostgreSQL."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID, uuid4

from voltpay.core.codec import encode
from voltpay.core.ids import PaymentId
from voltpay.core.messages import Message, PaymentAccepted
from voltpay.core.payment import FINGERPRINT_FIELDS, Fingerprint, Payment
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.foundation.runtime.courtesy import Courtesy
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.clock import SystemClock
from voltpay.foundation.seams.log import Record
from voltpay.processors.seam import (
    Absent,
    Charge,
    Declined,
    Duplicate,
    Executed,
    Finding,
    Found,
    Health,
    NoHealth,
    NotDone,
    Outcome,
    Unknown,
)
from voltpay.processors.settings import ProcessorSettings
from voltpay.services.routing.attempts import Attempts, AttemptView
from voltpay.services.routing.lane import Lane
from voltpay.services.routing.lanes import Lanes
from voltpay.services.routing.repeats import Repeats
from voltpay.services.routing.resolve import Resolve
from voltpay.services.routing.restraint import Restraint
from voltpay.services.routing.route import Route
from voltpay.services.routing.settings import (
    LaneSettings,
    ResolveSettings,
    RoutingSettings,
    SweepSettings,
)
from voltpay.services.routing.store import Store
from voltpay.services.routing.sweep import Sweep

NOW_MS = 1_790_000_000_123
QUICK = RoutingSettings(
    lease_ms=1_000,
    lane=LaneSettings(charge_timeout_min_ms=60, slow_ms=40),
    resolve=ResolveSettings(
        find_timeout_ms=60, ask_first_ms=1, ask_max_ms=10, foreign_grace_ms=0, repeats_max=1
    ),
    sweep=SweepSettings(after_ms=100),
)
PATIENT = QUICK.model_copy(update={"lane": LaneSettings(charge_timeout_min_ms=2_000)})

Behaviour = Callable[["SimulatedProcessor", Charge], Awaitable[Outcome]]


class SteeredClock(SystemClock):
    """The machine's clocks, and a jump."""

    def __init__(self) -> None:
        self.jumped_ms = 0

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.jumped_ms


class SimulatedProcessor:
    """Charges once an id, like the real ones; `behaviours` say what it does instead, in turn."""

    def __init__(self, name: str, currency: str = "EUR") -> None:
        self.name = name
        self.currencies = frozenset({currency})
        self.journal: dict[UUID, tuple[int, int]] = {}
        self.executions: list[UUID] = []
        self.posts: list[Charge] = []
        self.questions = 0
        self.behaviours: list[Behaviour] = []
        self.answers: list[Finding] = []
        self.health_answer: Health | NoHealth = Health(False, 0)
        self.health_calls = 0
        self.closed = False
        self.late: list[asyncio.Task[None]] = []
        self._posted = asyncio.Event()

    def insert(self, charge: Charge, amount_minor: int | None = None) -> bool:
        if charge.payment_id in self.journal:
            return False
        amount = charge.amount_minor if amount_minor is None else amount_minor
        self.journal[charge.payment_id] = (amount, charge.requested_at_ms)
        self.executions.append(charge.payment_id)
        return True

    async def charge(self, charge: Charge, timeout_ms: int) -> Outcome:
        self.posts.append(charge)
        self._posted.set()
        behaviour = self.behaviours.pop(0) if self.behaviours else honestly
        try:
            return await asyncio.wait_for(behaviour(self, charge), timeout_ms / 1000)
        except TimeoutError:
            return Unknown("timeout")

    async def was_sent(self, count: int = 1) -> None:
        """Wait for that many POSTs."""
        while len(self.posts) < count:
            self._posted.clear()
            await self._posted.wait()

    async def find(self, payment_id: UUID, timeout_ms: int) -> Finding:
        self.questions += 1
        if self.answers:
            return self.answers.pop(0)
        found = self.journal.get(payment_id)
        return Found(*found) if found else Absent()

    async def health(self, timeout_ms: int) -> Health | NoHealth:
        self.health_calls += 1
        return self.health_answer

    async def statement(self, from_ms: int | None = None, to_ms: int | None = None):
        yield ()

    async def close(self) -> None:
        self.closed = True


async def honestly(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    if not processor.insert(charge):
        return Duplicate()
    return Executed(charge.amount_minor, charge.requested_at_ms)


async def executes_then_hangs(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    processor.insert(charge)
    await asyncio.sleep(60)
    return Unknown("unreachable")


async def hangs_without_executing(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    await asyncio.sleep(60)
    return Unknown("unreachable")


async def executes_late(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    processor.late.append(asyncio.create_task(_late(processor, charge)))
    return Unknown("reset")


async def _late(processor: SimulatedProcessor, charge: Charge) -> None:
    await asyncio.sleep(0.1)
    processor.insert(charge)


async def executes_and_resets(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    processor.insert(charge)
    return Unknown("reset")


async def resets(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    return Unknown("reset")


async def refuses(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    return NotDone("500", counts_for_breaker=True)


async def is_busy(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    return NotDone("429", counts_for_breaker=False, retry_after_ms=100)


async def declines(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    return Declined("no \x00funds")


async def answers_another_amount(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    processor.insert(charge)
    return Executed(charge.amount_minor + 1, charge.requested_at_ms)


async def books_another_amount(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    processor.insert(charge, charge.amount_minor + 1)
    return Unknown("reset")


async def books_another_time(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    processor.journal[charge.payment_id] = (charge.amount_minor, charge.requested_at_ms - 5)
    processor.executions.append(charge.payment_id)
    return Duplicate()


async def claims_duplicate(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    return Duplicate()


async def has_a_defect(processor: SimulatedProcessor, charge: Charge) -> Outcome:
    processor.insert(charge)
    raise RuntimeError("a defect of the adapter, after the bytes went out")


LIES: tuple[Behaviour, ...] = (
    honestly,
    executes_then_hangs,
    executes_late,
    executes_and_resets,
    hangs_without_executing,
    resets,
    refuses,
    is_busy,
    declines,
    answers_another_amount,
    books_another_time,
    has_a_defect,
)


class MemoryLog:
    """Keeps what is appended."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def append(self, records: Sequence[Record]) -> None:
        self.messages += [record.message for record in records]


def publish(messages: Sequence[Message]) -> list[Record]:
    return [Record("topic", "", message, encode(message)) for message in messages]


def a_fingerprint(**changed: int) -> Fingerprint:
    return Fingerprint(b"".join(bytes([changed.get(name, 1)]) * 8 for name in FINGERPRINT_FIELDS))


def a_payment(**changes: object) -> Payment:
    values = {
        "id": PaymentId(uuid4()),
        "amount_minor": 1_990,
        "currency": "EUR",
        "account_id": "alice",
        "merchant_id": "shop",
        "accepted_at_ms": NOW_MS,
        "fingerprint": a_fingerprint(),
        **changes,
    }
    return Payment(**values)


def taken(message: Message) -> Taken:
    return Taken(message, "payment.accepted", 0, 1, NOW_MS)


def accepted(payment: Payment) -> Taken:
    return taken(PaymentAccepted(payment))


def processor_settings(name: str, **changes: object) -> ProcessorSettings:
    values = {
        "name": name,
        "url": "http://127.0.0.1:9",
        "fee": Decimal("0.05") if name == "default" else Decimal("0.15"),
        "max_processing_ms": 30_000,
        "charge_timeout_ms": 5_000,
        **changes,
    }
    return ProcessorSettings(**values)


@dataclass
class House:
    """One routing process on a database, with its processors."""

    database: Postgres
    processors: Sequence[SimulatedProcessor]
    owner: str = "here"
    settings: RoutingSettings = QUICK
    clock: SteeredClock = field(default_factory=SteeredClock)
    log: MemoryLog = field(default_factory=MemoryLog)
    posted: set[UUID] = field(default_factory=set)
    conflicting: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.database, self.owner)
        self.attempts = Attempts(self.store, groups_in_flight=2)
        lanes = [
            Lane(processor_settings(each.name), each, self.settings, self.clock, 90)
            for each in self.processors
        ]
        self.lanes = Lanes(lanes, self.clock, self.settings.lane.slow_ms)
        repeats = Repeats(self.store, self.note_conflicting)
        restraint = Restraint(Courtesy(self.clock), self.clock, self.settings.dispatch.held_min)
        self.route = Route(self.lanes, self.attempts, repeats, self.settings, self.clock, restraint)
        self.resolvers = {lane.name: self.resolver_of(lane) for lane in lanes}
        self.sweep = Sweep(self.store, self.log, publish, self.posted_among, self.settings.sweep)

    async def note_conflicting(self, payment_id: UUID) -> None:
        """What is done when another payment came under an id."""
        self.conflicting.append(payment_id)

    def resolver_of(self, lane: Lane) -> Resolve:
        return Resolve(
            lane,
            self.store,
            self.attempts,
            self.log,
            publish,
            self.settings,
            self.clock,
            random.Random(1),
            lambda: self.route.sending,
        )

    async def posted_among(self, pairs: Sequence[tuple[UUID, int]]) -> set[UUID]:
        return {payment_id for payment_id, _ in pairs} & self.posted

    async def resolve(self, times: int = 1, pause_ms: int = 8) -> None:
        for _ in range(times):
            await asyncio.sleep(pause_ms / 1000)
            await asyncio.gather(*(resolve() for resolve in self.resolvers.values()))

    async def attempts_of(self, payment: Payment) -> list[AttemptView]:
        return list(await self.store.attempts_of(payment.id))

    async def states_of(self, payment: Payment) -> list[str]:
        return [one.state for one in await self.attempts_of(payment)]

    async def states(self) -> dict[str, int]:
        rows = await self.database.fetch(
            "select state, count(*)::int as n from routing.attempt group by state"
        )
        return {row["state"]: row["n"] for row in rows}

    async def make_due(self) -> None:
        await self.database.execute("update routing.attempt set ask_at = now()")

    async def expire_leases(self) -> None:
        await self.database.execute("update routing.attempt set lease_until = now()")
