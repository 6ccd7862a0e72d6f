"""What becomes of a message that no stage can handle: counted, tried again, at last buried."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import Counter

from voltpay.core.codec import decode
from voltpay.core.errors import Broken, Unavailable
from voltpay.core.messages import PaymentDead, standing_of
from voltpay.foundation.runtime.stages import Publisher, Taken
from voltpay.foundation.seams.clock import Clock
from voltpay.foundation.seams.log import Consumer, Delivery, Record

FAILURES_MAX: Final = 3
_RETRY_S: Final = 0.05

log = structlog.get_logger()
_BURIED = Counter("voltpay_buried_total", "Messages buried as dead letters", ["stage"])


def taken_of(delivery: Delivery) -> Taken:
    """The decoded message with its place. Raises Unreadable."""
    return Taken(
        decode(delivery.body),
        delivery.topic,
        delivery.partition,
        delivery.position,
        delivery.appended_at_ms,
    )


class CannotBury(Unavailable):
    """A dead letter itself cannot be handled: it waits, as a letter round it would help nobody."""


class Gravedigger:
    """Tries one delivery that failed until it works or has failed three times, across restarts."""

    def __init__(self, stage: str, consumer: Consumer, publish: Publisher, clock: Clock) -> None:
        self._stage = stage
        self._consumer = consumer
        self._publish = publish
        self._clock = clock

    async def see_to(
        self, delivery: Delivery, error: Exception, again: Callable[[], Awaitable[None]]
    ) -> None:
        """Count the failure; run `again` until it succeeds, or bury the delivery and go on.

        What is not Broken nobody foresaw: raised by `again`, it ends the process, which starts
        anew, and only the third in all is buried.
        """
        if _is_letter(delivery):
            raise CannotBury(f"a dead letter waits: {error}") from error
        while (failures := await self._consumer.failed(delivery)) < FAILURES_MAX:
            await asyncio.sleep(_RETRY_S * failures)
            try:
                await again()
            except Broken as repeated:
                error = repeated
            else:
                return
        await self._bury(delivery, error, failures)

    async def _bury(self, delivery: Delivery, error: Exception, failures: int) -> None:
        letter = self._letter(delivery, error, failures)
        await self._consumer.finish([delivery], self._publish([letter]))
        _BURIED.labels(self._stage).inc()
        log.error(
            "stage.message_buried",
            stage=self._stage,
            payment_id=letter.payment_id,
            error=type(error).__name__,
            failures=failures,
        )

    def _letter(self, delivery: Delivery, error: Exception, failures: int) -> PaymentDead:
        record = self._as_published(delivery)
        return PaymentDead(
            topic=delivery.topic,
            key=record.key if record else "",
            stage=self._stage,
            partition=delivery.partition,
            position=delivery.position,
            body=delivery.body,
            error=f"{type(error).__name__}: {error}",
            failures=failures,
            buried_at_ms=self._clock.now_ms(),
            payment_id=standing_of(record.message)[0] if record else "",
        )

    def _as_published(self, delivery: Delivery) -> Record | None:
        try:
            records = self._publish([taken_of(delivery).message])
        except Broken:
            return None
        return records[0] if records else None


def _is_letter(delivery: Delivery) -> bool:
    try:
        return isinstance(decode(delivery.body), PaymentDead)
    except Broken:
        return False
