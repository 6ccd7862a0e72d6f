"""Which partition a record goes to."""

import time
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Final

from voltpay.foundation.engines.kafka.names import Names
from voltpay.foundation.engines.kafka.publish import Outgoing
from voltpay.foundation.engines.partition import partition_of
from voltpay.foundation.engines.topics import Topics
from voltpay.foundation.seams.log import Record

_SHUNNED_S: Final = 10.0


class Placing:
    """By the key, where there is one. Without one those of an append stay together.

    A commit group spread over all partitions would wait for all their leaders; on one it is one
    request. Ordered topics spread them: nothing of theirs waits for the others.
    """

    def __init__(self, topics: Topics, names: Names) -> None:
        self._topics = topics
        self._names = names
        self._turn = count()
        self._shunned: dict[tuple[str, int], float] = {}

    def placed(self, records: Sequence[Record]) -> tuple[list[Outgoing], set[tuple[str, int]]]:
        """What goes out, and the partitions that were chosen for records that stay together.

        Records of topics that nobody reads are left out.
        """
        together: dict[str, int] = {}
        outgoing: list[Outgoing] = []
        for record in records:
            row = self._topics.row(record.topic)
            if not row.groups:
                continue
            if record.key:
                partition = partition_of(record.key, self._topics.count_of(record.topic))
            elif row.ordered:
                partition = next(self._turn) % self._topics.count_of(record.topic)
            else:
                if record.topic not in together:
                    together[record.topic] = self._chosen(record.topic)
                partition = together[record.topic]
            outgoing.append(Outgoing(self._names.topic(record.topic), partition, record.body))
        return outgoing, set(together.items())

    def shun(self, chosen: Iterable[tuple[str, int]]) -> None:
        """These did not confirm: their leader may be away, the next ones go elsewhere."""
        until = time.monotonic() + _SHUNNED_S
        self._shunned.update(dict.fromkeys(chosen, until))

    def _chosen(self, topic: str) -> int:
        """The next partition in turn that did not just fail."""
        partitions, now = self._topics.count_of(topic), time.monotonic()
        for _ in range(partitions):
            partition = next(self._turn) % partitions
            if self._shunned.get((topic, partition), now) <= now:
                break
        return partition
