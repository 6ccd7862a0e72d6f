"""Where topics end and what groups have committed, seen by clients that are in no group."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from voltpay.foundation.engines.kafka.connect import Config

END: Final = -1
OLDEST: Final = -2
"""In place of a time, as the protocol has them: behind the last record, and the oldest kept."""
_NO_GROUP: Final = "voltpay-onlooker"


class Onlookers:
    """A client a group, made at the first look, that never subscribes. Its calls block.

    The requests for upkeep that give the same are not used, as librdkafka 2.16 has them: the one
    for what is committed crashes a process when a group's coordinator has just moved (its issues
    4605 and 5040), the one for offsets spins on 1.5 cores while a leader is away: it connects to it
    hundreds of times a second.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clients: dict[str, Consumer] = {}
        self._making = Lock()

    def committed(
        self, group: str, partitions: Sequence[TopicPartition], timeout_s: float
    ) -> Sequence[TopicPartition]:
        """Each with its offset, OFFSET_INVALID where there is none. Raises KafkaException."""
        with self._looking(group) as client:
            found: Sequence[TopicPartition] = client.committed(list(partitions), timeout=timeout_s)
            _raise_first_error(found)
        return found

    def offsets(
        self, topic: str, count: int, since_ms: int, timeout_s: float
    ) -> Sequence[TopicPartition]:
        """Of each partition the first offset since then, or what OLDEST and END ask for.

        Raises KafkaException.
        """
        wanted = [TopicPartition(topic, number, since_ms) for number in range(count)]
        with self._looking(_NO_GROUP) as client:
            found: Sequence[TopicPartition] = client.offsets_for_times(wanted, timeout=timeout_s)
            _raise_first_error(found)
        return found

    def close(self) -> None:
        """Forget the clients: without a membership there is nothing to leave."""
        with self._making:
            self._clients.clear()

    @contextmanager
    def _looking(self, group: str) -> Iterator[Consumer]:
        """A client that failed is looked through no more: it goes on with leaders that are gone."""
        client = self._client(group)
        try:
            yield client
        except KafkaException:
            with self._making:
                if self._clients.get(group) is client:
                    del self._clients[group]
            raise

    def _client(self, group: str) -> Consumer:
        with self._making:
            if group not in self._clients:
                own = {"group.id": group, "enable.auto.commit": False}
                self._clients[group] = Consumer({**self._config, **own})
            return self._clients[group]


def _raise_first_error(found: Sequence[TopicPartition]) -> None:
    for one in found:
        if one.error is not None:
            raise KafkaException(one.error)
