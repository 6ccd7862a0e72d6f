"""The log: durable, partitioned topics, read by groups."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from voltpay.core.messages import Message


class Record(Struct, frozen=True):
    """What is published. `key` orders it; without one any partition will do.

    `body` is the encoded `message`; `closes` names the claim (a payment id) whose repeat window
    begins with this record: its claim expires from then on.
    """

    topic: str
    key: str
    message: Message
    body: bytes
    closes: str = ""


class TopicRow(Struct, frozen=True):
    """A topic as an engine must hold it: kept in order or shared, and the groups that read it.

    A topic without groups is not written where nothing could ever trim it. A shared one that is
    `quiet` has few records most of the time: partitions of its own would only cost.
    """

    name: str
    ordered: bool
    groups: tuple[str, ...]
    quiet: bool = False


class Delivery(Struct, frozen=True):
    """What a consumer took. `position` grows within the partition, on every engine."""

    topic: str
    partition: int
    position: int
    body: bytes
    appended_at_ms: int


class Consumer(Protocol):
    """One member of a group on a topic. Not safe to share between tasks.

    `take`, `finish` and `failed` may run at the same time in different tasks.
    """

    @property
    def owned(self) -> frozenset[int]:
        """Partitions that it may read now; empty on shared topics."""
        ...

    async def take(self, count_max: int, wait_ms: int) -> Sequence[Delivery]:
        """Up to `count_max` deliveries, waiting at most `wait_ms` for the first."""
        ...

    async def finish(self, deliveries: Sequence[Delivery], records: Sequence[Record]) -> None:
        """Publish the records, then acknowledge the deliveries, in one step where the engine can.

        Works at the log's memory bound. Repeating it is harmless. Any order: the engine commits
        what is contiguous.
        """
        ...

    async def failed(self, delivery: Delivery) -> int:
        """Count a failure of this delivery; gives how many there were, across restarts."""
        ...

    async def resume(self) -> None:
        """Forget what was taken and not finished: it will be delivered again, in order."""
        ...

    async def close(self) -> None:
        """Give back partitions and connections. What is unfinished goes to others."""
        ...


class Log(Protocol):
    """Appends, and consumers of what was appended. Raises Unavailable when it cannot be reached."""

    async def append(self, records: Sequence[Record]) -> None:
        """All records on disk on return; none of them lost, maybe repeated by a retry."""
        ...

    def shared(self, topic: str, group: str) -> Consumer:
        """A consumer of which any member takes any message: work is spread, order is not kept."""
        ...

    def ordered(self, topic: str, group: str) -> Consumer:
        """A consumer that keeps the order of each partition."""
        ...

    async def backlog(self, topic: str, group: str) -> int:
        """How many records the group has not yet finished."""
        ...

    async def lag(self, topic: str, group: str) -> Mapping[int, int]:
        """The backlog by partition."""
        ...

    async def ends(self, topic: str) -> Mapping[int, int]:
        """Position of the last record of every partition; 0 for an empty one."""
        ...

    async def positions(self, topic: str, group: str) -> Mapping[int, int]:
        """Position that an ordered group has finished, by partition; 0 before the first."""
        ...


class LogAdmin(Protocol):
    """What only `migrate`, the periodic task and a sandbox's purge may ask."""

    async def prepare(self) -> None:
        """Make topics, groups (from the beginning) and partitions. Repeating it is harmless.

        Raises Misconfigured when the number of partitions differs from the stored one and the
        log is not drained, and when the engine is set up so that it could lose an append.
        """
        ...

    async def check(self) -> None:
        """Raise Misconfigured or Unavailable for what keeps the log from its promise just now."""
        ...

    async def durability(self) -> Mapping[str, str]:
        """The engine's own settings that carry the promise, read back from it."""
        ...

    async def trim(self) -> int:
        """Drop records that every group has finished; gives how many."""
        ...

    def unfinished(self, topic: str, group: str) -> AsyncIterator[Sequence[bytes]]:
        """Bodies of the records that the group has not finished, page by page; takes nothing."""
        ...

    async def reset(self, topic: str, group: str) -> None:
        """Set a group's position back to the oldest record that is kept."""
        ...

    async def purge(self, epoch: int) -> None:
        """Sandbox only: trim all topics, drop all claims, and accept from `epoch` on."""
        ...
