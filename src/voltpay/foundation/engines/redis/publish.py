"""Records as the words that the publishing scripts read."""

from collections.abc import Iterable, Sequence
from itertools import count

from voltpay.foundation.engines.partition import partition_of
from voltpay.foundation.engines.redis.connect import Word
from voltpay.foundation.engines.redis.names import (
    claim_key,
    partition_stream_of,
    stream_of,
)
from voltpay.foundation.engines.repeat_window import RepeatWindow
from voltpay.foundation.engines.topics import Topics
from voltpay.foundation.seams.log import Record, TopicRow


class Publication(Topics):
    """Turns records into keys and words. Records of topics that nobody reads are left out."""

    def __init__(
        self, topics: Iterable[TopicRow], *, partitions: int, window: RepeatWindow
    ) -> None:
        super().__init__(topics, partitions)
        self._window = window
        self._turn = count()

    def streams_of(self, topic: str) -> Sequence[str]:
        """All streams of a topic, by partition."""
        if self.row(topic).ordered:
            return [partition_stream_of(topic, number) for number in range(self.partitions)]
        return [stream_of(topic)]

    def encode(self, records: Sequence[Record]) -> tuple[list[Word], list[Word]]:
        """Keys (streams) and words (records, claims to close) as `publish.lua` reads them."""
        streams: dict[str, int] = {}
        bodies: list[Word] = []
        claims: list[Word] = []
        has_ordered = False
        for record in records:
            row = self.row(record.topic)
            if record.closes:
                claims.append(claim_key(record.closes))
            if row.groups:
                has_ordered = has_ordered or row.ordered
                number = streams.setdefault(self._stream_for(record, row), len(streams) + 1)
                bodies += (number, record.body)
        partitions = self.partitions if has_ordered else ""
        window_s = self._window.seconds_for(len(claims)) if claims else 0
        words = [partitions, len(bodies) // 2, *bodies, window_s, len(claims), *claims]
        return list(streams), words

    def _stream_for(self, record: Record, row: TopicRow) -> str:
        if not row.ordered:
            return stream_of(record.topic)
        if record.key:
            partition = partition_of(record.key, self.partitions)
        else:
            partition = next(self._turn) % self.partitions
        return partition_stream_of(record.topic, partition)
