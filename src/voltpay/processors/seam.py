"""The seam to whatever charges a customer: one charge, one question, health, its own statement.

An adapter turns each answer of a processor into one of the values below. The line that counts is
between NotDone (proven: this POST did not charge) and Unknown (it may have, it may still).
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol
from uuid import UUID

from msgspec import Struct


class Charge(Struct, frozen=True):
    """What a processor is asked to charge. A repeat carries the same id and `requested_at_ms`."""

    payment_id: UUID
    amount_minor: int
    currency: str
    requested_at_ms: int
    traceparent: str = ""


class Executed(Struct, frozen=True):
    """The processor charged this amount, and books it under this time."""

    amount_minor: int
    requested_at_ms: int


class Declined(Struct, frozen=True):
    """The processor will never charge this payment; final. `reason` is one printable line."""

    reason: str


class NotDone(Struct, frozen=True):
    """A definite no for this one POST: it charged nothing, and will not.

    It says nothing about an earlier POST of the same payment. `retry_after_ms` is what the
    processor asked for, 0 if nothing. A refusal for load does not count for the breaker.
    """

    why: str
    counts_for_breaker: bool
    retry_after_ms: int = 0


class Duplicate(Struct, frozen=True):
    """The processor says that it has the payment already: a claim, to be confirmed by `find`."""


class Unknown(Struct, frozen=True):
    """The POST may have charged, or may still be about to. `why` is of few distinct values."""

    why: str


Outcome = Executed | Declined | NotDone | Duplicate | Unknown
"""What one POST came to."""


class Found(Struct, frozen=True):
    """The processor has the payment, with this amount and under this time."""

    amount_minor: int
    requested_at_ms: int


class Absent(Struct, frozen=True):
    """The processor does not have it now; an earlier POST may still be running inside it."""


class Unanswered(Struct, frozen=True):
    """The question got no usable answer, so nothing is learned."""

    why: str


Finding = Found | Absent | Unanswered
"""What asking for one payment came to."""


class Health(Struct, frozen=True):
    """What the processor says of itself; it may be wrong."""

    failing: bool
    min_response_ms: int


class NoHealth(Struct, frozen=True):
    """No usable answer. Asked too often is not failing: then `retry_after_ms` is above 0."""

    why: str
    retry_after_ms: int = 0


class Booked(Struct, frozen=True):
    """One execution in the processor's own journal."""

    payment_id: UUID
    amount_minor: int
    requested_at_ms: int


class Processor(Protocol):
    """A processor. Made without opening anything; used from one event loop, many calls at once.

    `charge`, `find` and `health` raise nothing but CancelledError, and cancelling a charge leaves
    it unknown. `currencies` are those that it takes.
    """

    @property
    def name(self) -> str:
        """The name in the settings, attempts and summaries."""
        ...

    @property
    def currencies(self) -> frozenset[str]:
        """ISO 4217 codes of the payments that it may be given."""
        ...

    async def charge(self, charge: Charge, timeout_ms: int) -> Outcome:
        """Send one POST, once, and say what came of it within `timeout_ms`."""
        ...

    async def find(self, payment_id: UUID, timeout_ms: int) -> Finding:
        """Ask whether it has the payment."""
        ...

    async def health(self, timeout_ms: int) -> Health | NoHealth:
        """Ask how it is. Processors bound how often, over all callers."""
        ...

    def statement(
        self, from_ms: int | None = None, to_ms: int | None = None
    ) -> AsyncIterator[Sequence[Booked]]:
        """Its own journal in its own order, page by page; bounds on requestedAt are inclusive.

        A page may be empty. Raises Unavailable when it cannot be read to the end.
        """
        ...

    async def close(self) -> None:
        """Give back connections. What is under way becomes unknown."""
        ...
