"""A consumer: one of several that share a reader (shared topics), or alone on one (ordered)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from voltpay.foundation.engines.kafka.reader import Reader
from voltpay.foundation.seams.log import Delivery, Record


class Marks(Protocol):
    """What Kafka does not keep: kept on a Redis or Valkey beside it. Raises Unavailable."""

    async def close_claims(self, payment_ids: Sequence[str]) -> None:
        """Settled: their repeat windows begin."""
        ...

    async def failed(self, topic: str, partition: int, group: str, position: int) -> int:
        """Count a failure of a delivery; gives how many there were."""
        ...

    async def forget_failures(
        self, topic: str, partition: int, group: str, positions: Sequence[int]
    ) -> None:
        """They are finished."""
        ...

    async def wish_reset(self, topic: str, group: str) -> int:
        """Ask all members of a group to read again from the oldest record; gives how often."""
        ...

    async def resets(self, topic: str, group: str) -> int:
        """How often that was asked for."""
        ...

    async def note_reset(self, topic: str, group: str, asked: int) -> None:
        """One more member does what was asked the so-manieth time."""
        ...

    async def resets_done(self, topic: str, group: str, asked: int) -> int:
        """How many members do."""
        ...

    async def check(self) -> None:
        """Raise Misconfigured or Unavailable for what keeps it from keeping them."""
        ...

    async def prepare(self) -> None:
        """Raises Misconfigured where what is marked could be lost."""
        ...

    async def begin_purge(self) -> None:
        """Nothing is accepted from now on."""
        ...

    async def end_purge(self, epoch: int) -> None:
        """Drop all claims, and accept from `epoch` on."""
        ...


class KafkaConsumer:
    """See `seams.log.Consumer`. `left` is told that it is closed."""

    def __init__(
        self,
        reader: Reader,
        marks: Marks,
        topic: str,
        group: str,
        *,
        is_ordered: bool,
        publish: Callable[[Sequence[Record]], Awaitable[None]],
        verify: Callable[[], Awaitable[None]],
        left: Callable[["KafkaConsumer"], Awaitable[None]],
    ) -> None:
        self.reader = reader
        self._marks = marks
        self._topic = topic
        self._group = group
        self._is_ordered = is_ordered
        self._publish = publish
        self._verify = verify
        self._left = left
        self._held: dict[tuple[int, int], Delivery] = {}
        self._counted: set[tuple[int, int]] = set()

    @property
    def owned(self) -> frozenset[int]:
        """What its member was assigned, once it has taken for the first time."""
        return self.reader.owned if self._is_ordered else frozenset()

    async def take(self, count_max: int, wait_ms: int) -> Sequence[Delivery]:
        """What is buffered; with no time to wait, all that the cluster has now."""
        if count_max < 1:
            return []
        await self._verify()
        taken = await self.reader.take(count_max, wait_ms)
        self._held.update({(one.partition, one.position): one for one in taken})
        return taken

    async def finish(self, deliveries: Sequence[Delivery], records: Sequence[Record]) -> None:
        """Publish, wait until that is confirmed, then commit what is contiguous."""
        await self._publish(records)
        await self.reader.finish(deliveries)
        await self._forget_failures(deliveries)
        if self._is_ordered:
            # What is finished out of turn comes again, too, if it must: order is kept.
            self._held = {key: one for key, one in self._held.items() if self.reader.is_open(one)}
        else:
            for one in deliveries:
                self._held.pop((one.partition, one.position), None)

    async def failed(self, delivery: Delivery) -> int:
        """Counted beside the log, until the delivery is finished."""
        self._counted.add((delivery.partition, delivery.position))
        return await self._marks.failed(
            self._topic, delivery.partition, self._group, delivery.position
        )

    async def _forget_failures(self, deliveries: Sequence[Delivery]) -> None:
        if not self._counted:
            return
        for one in deliveries:
            if (one.partition, one.position) in self._counted:
                await self._marks.forget_failures(
                    self._topic, one.partition, self._group, [one.position]
                )
                self._counted.discard((one.partition, one.position))

    async def resume(self) -> None:
        """What was taken and is not committed comes again, in order."""
        held, self._held = list(self._held.values()), {}
        self.reader.put_back(held)

    async def close(self) -> None:
        """What it holds goes to others: of this process, or of the group."""
        await self.resume()
        await self._left(self)
