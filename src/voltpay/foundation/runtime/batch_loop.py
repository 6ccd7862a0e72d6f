"""The loop round a batch stage: own, take, handle, publish and acknowledge, in order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.runtime.blame import Gravedigger, taken_of
from voltpay.foundation.runtime.failpoints import reach
from voltpay.foundation.runtime.retry import Backoff, wait_or
from voltpay.foundation.runtime.stages import BatchStage, Publisher
from voltpay.foundation.seams.clock import Chance, Clock
from voltpay.foundation.seams.log import Consumer, Delivery

_OWN_AGAIN_S: Final = 0.1
_RESTS: Final = 3.0
"""So many times as long as a batch took, less a pace, is between its beginning and the next's."""
_PACES: Final = 5
"""At most, that is so many paces."""
_GROWTHS: Final = 16
"""So many good batches bring one from nothing back to its full size."""
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

log = structlog.get_logger()
BATCH_SIZE = Histogram("voltpay_batch_size", "Messages of a batch", ["stage"], buckets=_SIZES)
BATCH_SECONDS = Histogram("voltpay_batch_seconds", "A batch, effect to finish", ["stage"])
HANDLED = Counter("voltpay_messages_handled_total", "Messages finished", ["stage"])
PAUSED = Gauge("voltpay_stage_paused", "1 while the stage waits for what is away", ["stage"])


@dataclass(frozen=True)
class BatchLimits:
    """`count_max` messages a batch; an idle loop waits `wait_ms` in the log for the next.

    A batch begins no sooner than `pace_ms` after the one before, unless that was full: so those
    that come meanwhile share one transaction. The first after a silence begins at once. Where
    there is more to do than cores and batches take long, it waits up to five paces: the larger a
    batch, the less of a core its payments cost.
    """

    count_max: int = 1000
    pace_ms: int = 0
    wait_ms: int = 250


class BatchLoop:
    """Runs a BatchStage until told to stop.

    A crash anywhere repeats what was not finished. Unavailable pauses the loop, takes ownership
    anew and reads again from the log's position, half as much: a batch that takes longer than a
    statement may would never get through at its size. Broken halves the batch until the culprit is
    alone; the partition's order is kept while it is seen to.
    """

    def __init__(
        self,
        name: str,
        stage: BatchStage,
        consumer: Consumer,
        publish: Publisher,
        *,
        clock: Clock,
        chance: Chance,
        limits: BatchLimits,
    ) -> None:
        self.name = name
        self.is_ready = False
        self._stage = stage
        self._consumer = consumer
        self._publish = publish
        self._limits = limits
        self._count = limits.count_max
        # Slowly: each time that it is too much again costs a whole statement's time.
        self._grows_by = max(1, limits.count_max // _GROWTHS)
        self._owned: frozenset[int] = frozenset()
        self._began_s = self._took_s = 0.0
        self._backoff = Backoff(chance)
        self._gravedigger = Gravedigger(name, consumer, publish, clock)
        self._before, self._after = f"{name}.before_publish", f"{name}.after_publish"

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set; the batch under way is finished first."""
        try:
            while not stop.is_set():
                await self._go_on(stop)
        finally:
            self.is_ready = False
            await self._stage.release(self._owned)
            await self._consumer.close()

    async def _go_on(self, stop: asyncio.Event) -> None:
        try:
            await self._own(stop)
            while not stop.is_set():
                if self._consumer.owned != self._owned:
                    await self._own(stop)
                if not await self._turn():
                    await self._pause(stop)
        except Unavailable as error:
            self.is_ready = False
            self._count = max(1, self._count // 2)
            PAUSED.labels(self.name).set(1)
            log.warning("stage.paused", stage=self.name, error=str(error))
            await self._backoff.pause(stop)

    async def _own(self, stop: asyncio.Event) -> None:
        """Give back what others have now, and wait for what is new."""
        while not stop.is_set():
            wanted = self._consumer.owned
            if gone := self._owned - wanted:
                await self._stage.release(gone)
            self._owned = wanted
            if not wanted or await self._stage.own(wanted) >= wanted:
                await self._consumer.resume()
                return
            await wait_or(stop, _OWN_AGAIN_S)

    async def _pause(self, stop: asyncio.Event) -> None:
        pace_s = self._limits.pace_ms / 1000
        rest_s = min(max(pace_s, _RESTS * self._took_s - pace_s), _PACES * pace_s)
        left_s = self._began_s + rest_s - perf_counter()
        if left_s > 0:
            await wait_or(stop, left_s)

    async def _turn(self) -> bool:
        """Take and handle a batch; gives whether it was as large as it may be."""
        count = self._count
        deliveries = await self._consumer.take(count, self._limits.wait_ms)
        self._backoff.reset()
        self.is_ready = True
        PAUSED.labels(self.name).set(0)
        if self._consumer.owned != self._owned:
            # What was taken of partitions that came meanwhile comes again, once they are owned.
            return True
        if deliveries:
            self._began_s = began = perf_counter()
            await self._handle(deliveries)
            self._count = min(self._limits.count_max, self._count + self._grows_by)
            BATCH_SIZE.labels(self.name).observe(len(deliveries))
            self._took_s = perf_counter() - began
            BATCH_SECONDS.labels(self.name).observe(self._took_s)
        return len(deliveries) >= count

    async def _handle(self, deliveries: Sequence[Delivery]) -> None:
        try:
            await self._post(deliveries)
        except (Unavailable, Misconfigured):
            raise
        except Exception as error:  # noqa: BLE001 - counted, and raised again unless it is Broken
            if len(deliveries) == 1:
                await self._gravedigger.see_to(deliveries[0], error, lambda: self._post(deliveries))
                return
            middle = len(deliveries) // 2
            await self._handle(deliveries[:middle])
            await self._handle(deliveries[middle:])

    async def _post(self, deliveries: Sequence[Delivery]) -> None:
        messages = await self._stage([taken_of(delivery) for delivery in deliveries])
        reach(self._before)
        await self._consumer.finish(deliveries, self._publish(messages))
        reach(self._after)
        HANDLED.labels(self.name).inc(len(deliveries))
