"""The topics that a log was set up with, as every engine of it looks them up."""

from collections.abc import Iterable, Mapping
from typing import Final

from voltpay.foundation.engines.log_errors import UnknownTopic
from voltpay.foundation.seams.log import TopicRow

QUIET_PARTITIONS: Final = 8


class Topics:
    """Topics by name, and the number of partitions of those that are not quiet."""

    def __init__(self, topics: Iterable[TopicRow], partitions: int) -> None:
        self.topics: Mapping[str, TopicRow] = {row.name: row for row in topics}
        self.partitions = partitions

    def row(self, topic: str) -> TopicRow:
        """What is known of a topic. Raises UnknownTopic."""
        if topic not in self.topics:
            raise UnknownTopic(f"the log has no topic {topic!r}")
        return self.topics[topic]

    def count_of(self, topic: str) -> int:
        """How many partitions a topic has. Raises UnknownTopic."""
        row = self.row(topic)
        is_quiet = row.quiet and not row.ordered
        return min(self.partitions, QUIET_PARTITIONS) if is_quiet else self.partitions

    @property
    def read(self) -> list[TopicRow]:
        """Those that a group reads: the others are not written."""
        return [row for row in self.topics.values() if row.groups]
