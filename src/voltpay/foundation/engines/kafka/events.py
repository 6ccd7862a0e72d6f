"""What happens to a member of a group, as its thread tells it."""

import threading
from collections.abc import Sequence
from typing import Protocol

from confluent_kafka import KafkaError

from voltpay.core.errors import VoltpayError
from voltpay.foundation.engines.kafka.rows import Row


class Events(Protocol):
    """What happens to a member; called in the order in which it does, in the loop."""

    def arrived(self, rows: Sequence[Row]) -> None:
        """Records were read."""
        ...

    def assigned(self, partitions: Sequence[int]) -> None:
        """These came, maybe none: the member has joined its group."""
        ...

    def leaving(self, partitions: Sequence[int], released: threading.Event) -> None:
        """These go to another: once their work is finished, `released` is to be set."""
        ...

    def left(self, partitions: Sequence[int]) -> None:
        """These are gone."""
        ...

    def set_back(self) -> None:
        """All partitions are read again from the oldest record."""
        ...

    def failed(self, error: VoltpayError) -> None:
        """The cluster is away, or the topic is not there."""
        ...

    def ended(self, error: KafkaError | None) -> None:
        """The thread is over: it was closed, or cannot go on as it was made."""
        ...
