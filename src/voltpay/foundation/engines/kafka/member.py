"""One member of a group: the client, and the thread that polls it and sees to its partitions.

The thread only hands over what happens; what was read and finished is known in the loop alone.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from voltpay.core.errors import Unavailable
from voltpay.foundation.engines.kafka.commits import Commits
from voltpay.foundation.engines.kafka.connect import translated
from voltpay.foundation.engines.kafka.events import Events
from voltpay.foundation.engines.kafka.membership import Membership
from voltpay.foundation.engines.kafka.rows import row_of
from voltpay.foundation.engines.log_errors import LogAway

_POLL_S: Final = 0.01
"""Between two polls commits go out: nothing but the polling thread may use a client meanwhile."""
_AT_ONCE: Final = 500
_PATIENCE_TURNS: Final = 100
_ASK_S: Final = 5.0
log = structlog.get_logger()


class Member:
    """A client in a group of one topic. `tell` calls something in the loop, in order."""

    def __init__(
        self,
        membership: Membership,
        config: Mapping[str, Any],
        events: Events,
        tell: Callable[..., object],
    ) -> None:
        self._topic = membership.cluster_topic
        self._flush_s = membership.flush_s
        self._events = events
        self._tell = tell
        self._fatal: KafkaError | None = None
        self._is_closing = False
        self._wants_set_back = self._is_paused = False
        self._crowded_turns = 0
        self.commit = Commits(self._topic)
        self._room = threading.Event()
        self._room.set()
        self._consumer = Consumer({**config, "error_cb": self._error})
        self._thread = threading.Thread(target=self._run, name="kafka-member", daemon=True)
        self._thread.start()

    def has_room(self, has_room: bool) -> None:
        """Whether more is wanted for now."""
        (self._room.set if has_room else self._room.clear)()

    def wish_set_back(self) -> None:
        """Read all partitions again, soon: `events.set_back` tells when it is done."""
        self._wants_set_back = True

    def close(self) -> None:
        """Leave the group, soon."""
        self._is_closing = True
        self._room.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end; blocks."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                [self._topic],
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            while not (self._is_closing or self._fatal):
                self._turn_once()
        except KafkaException as error:
            self._fatal = error.args[0]
        finally:
            self._is_closing = True
            with suppress(KafkaException, RuntimeError):
                self._consumer.close()
            self.commit.end()
            self._tell(self._events.ended, self._fatal)

    def _turn_once(self) -> None:
        self.commit.run(self._consumer)
        if self._wants_set_back:
            try:
                self._set_back()
            except KafkaException as error:
                # Partitions that just came cannot be moved for a moment.
                log.info("kafka.not_set_back_yet", error=error.args[0].str())
        if self._waits_for_room():
            return
        message = self._consumer.poll(_POLL_S)
        if message is not None:
            self._hand_over([message, *self._consumer.consume(_AT_ONCE - 1, 0)])

    def _waits_for_room(self) -> bool:
        """A full buffer just waits for a while; then partitions pause, until there is room."""
        has_room = self._room.is_set()
        self._crowded_turns = 0 if has_room else self._crowded_turns + 1
        if 0 < self._crowded_turns < _PATIENCE_TURNS:
            self._room.wait(_POLL_S)
            return True
        if self._is_paused == has_room:
            self._is_paused = not has_room
            assigned = self._consumer.assignment()
            (self._consumer.resume if has_room else self._consumer.pause)(assigned)
        return False

    def _hand_over(self, messages: Sequence[Any]) -> None:
        rows = []
        for one in messages:
            error = one.error()
            if error is None:
                rows.append(row_of(one))
            elif _is_fatal(error):
                self._fatal = error
            else:
                self._tell(self._events.failed, translated(error))
        if rows:
            self._tell(self._events.arrived, rows)

    def _set_back(self) -> None:
        marks = []
        for one in self._consumer.assignment():
            low, _ = self._consumer.get_watermark_offsets(one, _ASK_S)
            marks.append(TopicPartition(self._topic, one.partition, low))
            self._consumer.seek(TopicPartition(self._topic, one.partition, OFFSET_BEGINNING))
        if marks:
            self._consumer.commit(offsets=marks, asynchronous=False)
        self.commit.turn += 1
        self._wants_set_back = False
        self._tell(self._events.set_back)

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._tell(self._events.assigned, [one.partition for one in partitions])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [one.partition for one in partitions]
        if not self._is_closing:
            released = threading.Event()
            self._tell(self._events.leaving, numbers, released)
            ends_at = time.monotonic() + self._flush_s
            # Within this callback only this very thread may commit.
            while not released.wait(_POLL_S) and time.monotonic() < ends_at:
                self.commit.run(self._consumer)
            self.commit.run(self._consumer)
            if not released.is_set():
                log.warning("kafka.left_unfinished", topic=self._topic, partitions=numbers)
        self._tell(self._events.left, numbers)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._tell(self._events.left, [one.partition for one in partitions])

    def _error(self, error: KafkaError) -> None:
        if _is_fatal(error):
            self._fatal = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._tell(self._events.failed, LogAway(error.str()))


def _is_fatal(error: KafkaError) -> bool:
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001


def error_of(ended: KafkaError | None) -> Unavailable:
    """Why a member is over, as a take tells it."""
    text = f"{ended.name()}: {ended.str()}" if ended is not None else "the consumer was closed"
    return LogAway(text)
