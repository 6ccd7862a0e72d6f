"""The intake: claim a payment's id and append it to the log, in one durable step."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.payment import Fingerprint
from voltpay.foundation.seams.log import Record


class StaleEpoch(Unavailable):
    """The installation was purged since the epoch was read: read it again, build again."""

    slug = "being-purged"
    title = "The installation is being purged"


class Claim(Struct, frozen=True):
    """A wish to claim an id. The record is appended only if nobody claimed the id before."""

    id: PaymentId
    fingerprint: Fingerprint
    accepted_at_ms: int
    record: Record


class Claimed(Struct, frozen=True):
    """What stands under an id: from the claim that came first."""

    fingerprint: Fingerprint
    accepted_at_ms: int


class Intake(Protocol):
    """Claims and appends. Raises Unavailable when the log is away, full or slow."""

    async def accept(self, claims: Sequence[Claim], epoch: int) -> Sequence[Claimed | None]:
        """For each claim: None if it is new and its record on disk, else what stands there.

        The same id twice in one call: the first wins. `epoch` is that of the records; raises
        StaleEpoch, with nothing done, when the log is at another one.
        """
        ...

    async def find(self, ids: Sequence[PaymentId]) -> Sequence[Claimed | None]:
        """What stands under each id; None where nothing (any more) does."""
        ...

    def open_claims(self) -> AsyncIterator[Sequence[PaymentId]]:
        """Ids that were promised and not settled since, page by page; one may come twice."""
        ...

    async def epoch(self) -> int:
        """The epoch that the log accepts now."""
        ...

    async def is_full(self) -> bool:
        """Whether the log's memory has passed the share at which nothing more is accepted."""
        ...
