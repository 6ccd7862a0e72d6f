"""What one service gives another past the log, and the one wrapper that notes statuses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import msgspec
from prometheus_client import Counter

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.messages import PaymentPosted, Standing, standing_of
from voltpay.foundation.seams.cache import Cache, Entry
from voltpay.foundation.seams.log import Consumer, Delivery, Log, Record
from voltpay.services.dead.wire import Dead
from voltpay.services.inquiry import known
from voltpay.services.inquiry.cached import payment_key
from voltpay.services.inquiry.questions import ChargesOf, LettersOf
from voltpay.services.routing.wire import Routing

STATUS_TTL_MS: Final = 3_600_000
_ENCODER: Final = msgspec.msgpack.Encoder()
_LOST = Counter("voltpay_statuses_not_noted_total", "Statuses that the cache did not take")


class StatusNoting:
    """A Log that stores in the cache which state its records prove, if it is newer.

    The cache may be away or lose it at any time: inquiries ask the stores then.
    """

    def __init__(self, log: Log, cache: Cache) -> None:
        self._log = log
        self._cache = cache

    async def append(self, records: Sequence[Record]) -> None:
        """Append, then note."""
        await self._log.append(records)
        await self.note(records)

    def shared(self, topic: str, group: str) -> Consumer:
        """A shared consumer whose `finish` notes, too."""
        return _NotingConsumer(self._log.shared(topic, group), self)

    def ordered(self, topic: str, group: str) -> Consumer:
        """An ordered consumer whose `finish` notes, too."""
        return _NotingConsumer(self._log.ordered(topic, group), self)

    async def backlog(self, topic: str, group: str) -> int:
        """As the log has it."""
        return await self._log.backlog(topic, group)

    async def lag(self, topic: str, group: str) -> Mapping[int, int]:
        """As the log has it."""
        return await self._log.lag(topic, group)

    async def ends(self, topic: str) -> Mapping[int, int]:
        """As the log has it."""
        return await self._log.ends(topic)

    async def positions(self, topic: str, group: str) -> Mapping[int, int]:
        """As the log has it."""
        return await self._log.positions(topic, group)

    async def note(self, records: Sequence[Record]) -> None:
        """Store what the records prove; a posted fact proves no more than its settled one did."""
        entries = [
            _entry_of(record) for record in records if not isinstance(record.message, PaymentPosted)
        ]
        if not entries:
            return
        try:
            await self._cache.put_if_newer(entries)
        except Unavailable:
            _LOST.inc(len(entries))


class _NotingConsumer:
    def __init__(self, consumer: Consumer, noting: StatusNoting) -> None:
        self._consumer = consumer
        self._noting = noting
        self.take = consumer.take
        self.failed = consumer.failed
        self.resume = consumer.resume
        self.close = consumer.close

    @property
    def owned(self) -> frozenset[int]:
        return self._consumer.owned

    async def finish(self, deliveries: Sequence[Delivery], records: Sequence[Record]) -> None:
        await self._consumer.finish(deliveries, records)
        await self._noting.note(records)


def _entry_of(record: Record) -> Entry:
    payment_id, standing = standing_of(record.message)
    value = _ENCODER.encode(standing)
    return Entry(f"status:{payment_id}", standing.rank, value, STATUS_TTL_MS)


def charges_of(routing: Routing) -> ChargesOf:
    """What routing knows of a payment, as inquiry asks for it."""

    async def ask(payment_id: PaymentId) -> known.Charges:
        attempts = await routing.attempts_of(payment_id)
        conflicts = await routing.conflicts_of(payment_id)
        return known.Charges(
            payment=attempts[0].payment if attempts else None,
            attempts=[
                known.AttemptView(
                    each.number,
                    each.processor,
                    each.requested_at_ms,
                    each.state,
                    each.explanation,
                    each.note,
                )
                for each in attempts
            ],
            conflicts=[known.ConflictView(each.fields, each.noticed_at_ms) for each in conflicts],
        )

    return ask


def forgets_answers(cache: Cache) -> Callable[[PaymentId], Awaitable[None]]:
    """Drops the cached answer about a payment; where the cache is away, it ages out."""

    async def forget(payment_id: PaymentId) -> None:
        with suppress(Unavailable):
            await cache.drop([(payment_key(payment_id), Standing.RANK_POSTED)])

    return forget


def letters_of(dead: Dead) -> LettersOf:
    """A payment's dead letters, as inquiry asks for them."""

    async def ask(payment_id: PaymentId) -> Sequence[known.DeadView]:
        return [
            known.DeadView(each.id, each.stage, each.state, _ms_of(each.buried_at))
            for each in await dead.dead_of(payment_id)
        ]

    return ask


def _ms_of(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
