"""What a stage is, as the loops see it: takes messages, does its one thing, returns messages."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from voltpay.core.messages import Message
from voltpay.foundation.seams.log import Record


class Taken(Struct, frozen=True):
    """A decoded message and where it stood. `appended_at_ms` is the log's own time."""

    message: Message
    topic: str
    partition: int
    position: int
    appended_at_ms: int


class BatchStage(Protocol):
    """Handles a batch at once, in the order of its partitions (ledger, projection).

    Raises Unavailable when something is away (the batch is tried again), Broken when a message
    cannot be handled (the batch is halved until the culprit is alone). It never publishes,
    acknowledges, sleeps or catches broadly. A repeat gives the same messages again.
    """

    async def own(self, partitions: Iterable[int]) -> frozenset[int]:
        """Take these partitions for writing; gives those that it got. Called until it has all."""
        ...

    async def release(self, partitions: Iterable[int]) -> None:
        """Give them back."""
        ...

    async def __call__(self, batch: Sequence[Taken]) -> Sequence[Message]:
        """The messages to publish, for every message of the batch, fresh or repeated."""
        ...


@runtime_checkable
class WindowStage(Protocol):
    """Handles one message at a time, many at once (routing)."""

    def room(self) -> int:
        """How many messages it may work on just now; what waits to be published is beside that."""
        ...

    async def __call__(self, one: Taken) -> Sequence[Message]:
        """The messages to publish before the one is acknowledged; none: its custody has passed."""
        ...


class Publisher(Protocol):
    """Turns messages into records: topic by type, key, bytes. Filled from the topology."""

    def __call__(self, messages: Sequence[Message]) -> Sequence[Record]:
        """One record a message, in the same order; none for a topic without a reader."""
        ...
