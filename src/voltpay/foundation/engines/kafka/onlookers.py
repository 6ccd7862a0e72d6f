"""What groups have committed, seen by clients that are in none of them."""

from collections.abc import Sequence
from threading import Lock

from confluent_kafka import Consumer, KafkaException, TopicPartition

from voltpay.foundation.engines.kafka.connect import Config


class Onlookers:
    """A client a group, made at the first look, that never subscribes. Its calls block.

    The request for upkeep that gives the same (ListConsumerGroupOffsets) crashes a process when a
    group's coordinator has just moved: librdkafka's issues 4605 and 5040, met in its 2.16.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clients: dict[str, Consumer] = {}
        self._making = Lock()

    def committed(
        self, group: str, partitions: Sequence[TopicPartition], timeout_s: float
    ) -> Sequence[TopicPartition]:
        """Each with its offset, OFFSET_INVALID where there is none. Raises KafkaException."""
        found: Sequence[TopicPartition] = self._client(group).committed(
            list(partitions), timeout=timeout_s
        )
        for one in found:
            if one.error is not None:
                raise KafkaException(one.error)
        return found

    def close(self) -> None:
        """Forget the clients: without a membership there is nothing to leave."""
        with self._making:
            self._clients.clear()

    def _client(self, group: str) -> Consumer:
        with self._making:
            if group not in self._clients:
                own = {"group.id": group, "enable.auto.commit": False}
                self._clients[group] = Consumer({**self._config, **own})
            return self._clients[group]
