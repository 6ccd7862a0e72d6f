"""Records go out: an idempotent producer whose batches are confirmed as one."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from voltpay.core.errors import VoltpayError
from voltpay.foundation.engines.kafka.connect import Cluster, translated
from voltpay.foundation.engines.log_errors import LogFull

_POLL_S: Final = 0.1


class Outgoing(NamedTuple):
    """One record: the topic as the cluster calls it, its partition, the bytes."""

    topic: str
    partition: int
    body: bytes


class Outlet:
    """One producer a process, made at the first use; a thread hands out its confirmations."""

    def __init__(self, cluster: Cluster) -> None:
        self._config = {
            **cluster.config,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0.2,
            "delivery.timeout.ms": cluster.timeout_ms,
            "request.timeout.ms": cluster.timeout_ms,
            "topic.metadata.refresh.interval.ms": 10_000,
        }
        self._producer: Producer | None = None
        self._is_closed = False

    async def send(self, records: Sequence[Outgoing]) -> None:
        """All of them confirmed by every in-sync replica on return. Raises Unavailable, Broken."""
        if not records:
            return
        batch = _Batch(len(records))
        producer = self.open()
        for number, record in enumerate(records):
            try:
                producer.produce(
                    record.topic, record.body, partition=record.partition, on_delivery=batch.told
                )
            except (BufferError, KafkaException) as error:
                batch.refused(len(records) - number, error)
                break
        await batch.confirmed

    def open(self) -> Producer:
        """The producer; a new one gets its identity from the cluster meanwhile."""
        if self._producer is None:
            self._producer = Producer(self._config)
            threading.Thread(target=self._listen, name="kafka-producer", daemon=True).start()
        return self._producer

    def _listen(self) -> None:
        while not self._is_closed and self._producer is not None:
            self._producer.poll(_POLL_S)

    def close(self) -> None:
        """What was not confirmed may still be appended."""
        self._is_closed = True


class _Batch:
    """Records that are confirmed together; told of each in the producer's thread."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._error: VoltpayError | None = None
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self.confirmed: asyncio.Future[None] = self._loop.create_future()

    def told(self, error: KafkaError | None, _: Message) -> None:
        """One of them is on the log, or will never be known to be."""
        self._counted(1, translated(error) if error is not None else None)

    def refused(self, count: int, error: Exception) -> None:
        """So many never went out."""
        known = (
            translated(error.args[0])
            if isinstance(error, KafkaException)
            else LogFull("the producer's queue is at its bound")
        )
        self._counted(count, known)

    def _counted(self, count: int, error: VoltpayError | None) -> None:
        with self._lock:
            self._error = self._error or error
            self._left -= count
            is_last = not self._left
        if is_last:
            # The thread may outlive the loop by a moment.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self.confirmed.done():
            return
        if self._error is None:
            self.confirmed.set_result(None)
        else:
            self.confirmed.set_exception(self._error)
