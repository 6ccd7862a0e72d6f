"""Commits of one member: asked for in the loop, made by the thread that polls."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from voltpay.core.errors import VoltpayError
from voltpay.foundation.engines.kafka.connect import translated
from voltpay.foundation.engines.log_errors import LogAway

_TOO_LATE: Final = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._NO_OFFSET,  # noqa: SLF001 - the library's names for its own codes
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001
        KafkaError._STATE,  # noqa: SLF001
    }
)
"""Refused so, a commit comes too late: another member has the partition, or will have."""
_MOVING: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
    }
)
"""The group's coordinator is just moving, as when its broker came back, or has told this member of
a new epoch and the answer is still on its way: again in a moment."""
_MOVES_S: Final = 2.0
_AGAIN_S: Final = 0.1

log = structlog.get_logger()


class Commits:
    """A queue of positions. While a client polls, no other thread gets at it for long.

    `turn` is how often all was set back: a commit of what was read before must not undo that.
    """

    def __init__(self, topic: str) -> None:
        self.turn = 0
        self._topic = topic
        self._waiting: SimpleQueue[tuple[Mapping[int, int], int, Future[None]]] = SimpleQueue()
        self._is_over = False

    async def __call__(self, marks: Mapping[int, int], turn: int) -> None:
        """Commit, if it is still that turn; returns when it is done. Raises LogAway."""
        done: Future[None] = Future()
        self._waiting.put((marks, turn, done))
        if self._is_over:
            self.end()
        await asyncio.wrap_future(done)

    def run(self, consumer: Consumer) -> None:
        """Make those that wait; in the thread."""
        while not self._waiting.empty():
            marks, turn, done = self._waiting.get()
            try:
                if turn == self.turn:
                    self._commit(consumer, marks)
                done.set_result(None)
            except VoltpayError as error:
                done.set_exception(error)

    def _commit(self, consumer: Consumer, marks: Mapping[int, int]) -> None:
        offsets = [TopicPartition(self._topic, *mark) for mark in marks.items()]
        ends_at = time.monotonic() + _MOVES_S
        while offsets:
            try:
                consumer.commit(offsets=offsets, asynchronous=False)
            except KafkaException as error:
                code = error.args[0].code()
                if code in _MOVING and time.monotonic() < ends_at:
                    time.sleep(_AGAIN_S)
                    kept = {one.partition for one in consumer.assignment()}
                    offsets = [one for one in offsets if one.partition in kept]
                    continue
                if code not in _TOO_LATE:
                    raise translated(error.args[0]) from error
                log.info("kafka.commit_too_late", topic=self._topic, error=error.args[0].name())
            return

    def end(self) -> None:
        """The thread is over: refuse those that wait, and all that come."""
        self._is_over = True
        while not self._waiting.empty():
            self._waiting.get()[-1].set_exception(LogAway("the consumer was closed"))
