"""What is compared: each store's own view of every payment, id by id."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct


class Execution(Struct, frozen=True):
    """A processor's own record that it executed a payment."""

    amount_minor: int
    requested_at_ms: int


class Posted(Struct, frozen=True):
    """A payment as the ledger, or the read model, has it."""

    processor: str
    amount_minor: int
    currency: int
    executed: bool
    requested_at_ms: int
    fee_minor: int
    sequence: int


class AttemptSeen(Struct, frozen=True):
    """An attempt row: `is_open` while its outcome is not known or not proven.

    `carried_on`: its payment was passed on, or is in the books, as far as routing has seen.
    """

    processor: str
    state: str
    amount_minor: int
    requested_at_ms: int
    carried_on: bool = True

    @property
    def is_open(self) -> bool:
        """Whether the payment is in this attempt's custody."""
        return self.state in {"sending", "unknown", "parked"}

    @property
    def holds(self) -> bool:
        """Whether the payment is not lost by this row: the sweeper passes on what nobody has."""
        return self.state != "absent" or not self.carried_on


class Asked(Struct, frozen=True):
    """What a client knows: `outcome` is ok (202), fail (refused) or info (no clear answer).

    `others_minor` are further amounts that were answered with 202 under the same id.
    """

    payment_id: UUID
    amount_minor: int
    outcome: str
    others_minor: frozenset[int] = frozenset()


class Tally(Struct, frozen=True):
    """How many payments a processor executed, and their sum in minor units."""

    count: int
    amount_minor: int


class SummarySeen(Struct, frozen=True):
    """What we say that processors executed in a window of requestedAt, both ends inclusive."""

    from_ms: int
    to_ms: int
    totals: Mapping[str, Tally]


class Difference(Struct, frozen=True):
    """One thing that does not add up. `what` is a stable kind, `who` the payment or account."""

    what: str
    who: str
    detail: str


class Evidence(Struct, frozen=True):
    """All of it, read from one database snapshot, after the processors' journals and the log.

    `dead` are the letters nobody has replayed or discarded, by number, with the payment that each
    is about, where it could be read; `discarded` the payments that a person gave up. `waiting` are
    the records on their way, by topic, and `on_log` the payments that they are about. `promised`
    are those that the intake has promised and not seen settled; it is empty for a part of time.
    """

    journals: Mapping[str, Mapping[UUID, Sequence[Execution]]]
    attempts: Mapping[UUID, Sequence[AttemptSeen]]
    ledger: Mapping[UUID, Posted]
    read_model: Mapping[UUID, Posted]
    conflicts: frozenset[UUID]
    dead: Mapping[int, UUID | None]
    waiting: Mapping[str, int]
    anomalies: Sequence[Difference]
    asked: Sequence[Asked] = ()
    on_log: frozenset[UUID] = frozenset()
    promised: frozenset[UUID] = frozenset()
    discarded: frozenset[UUID] = frozenset()
    summaries: Sequence[SummarySeen] = ()


LIKELY_CAUSE: Mapping[str, str] = {
    "lost": "a promise left the log without reaching an attempt or a dead letter",
    "promised twice": "a claim was lost, or passed by, within its repeat window",
    "made up": "a payment was booked that nobody asked for",
    "refused but made": "a request that was answered with an error was stored all the same",
    "charged twice": "an attempt was opened elsewhere before the first was proven absent",
    "not executed": "completed was said without a processor's word",
    "not completed": "a processor executed it and its outcome was not adopted",
    "wrong processor": "the outcome was attributed to another attempt",
    "wrong amount": "the processor, or we, booked another amount than was asked for",
    "wrong time": "the processor booked it under another requestedAt: summaries will differ",
    "unattempted": "a payment was booked past routing, or its attempt was altered",
    "unposted": "a settled fact was lost before the ledger",
    "unbalanced entry": "a posting was lost, altered or written past the ledger",
    "missing posting": "a payment was written without its legs, or a declined one with them",
    "stray posting": "legs were written past the ledger, without a payment",
    "doubled posting": "the ledger's idempotency was passed by",
    "posted twice": "the ledger's idempotency was passed by",
    "wrong balance": "a balance was changed without its posting, or the other way round",
    "out of order": "two writers posted one account, or an older fact after a newer one",
    "sequence gap": "a posting of the account was lost or written by two writers",
    "stale read model": "a posted fact was lost, or the read model altered: voltpay rebuild",
    "wrong summary": "the buckets were altered or a fact was counted twice: voltpay rebuild",
    "wrong answer": "the summary counts other payments than the processors executed",
    "read balance": "the read model's balance is not the ledger's: voltpay rebuild",
    "left over": "it is still on its way, or nobody resolves it: voltpay dead list, doctor",
}
