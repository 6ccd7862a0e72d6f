"""What only `migrate`, the periodic task and a sandbox's purge ask of the log."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from voltpay.foundation.engines.redis import scripts
from voltpay.foundation.engines.redis.connect import Server, Word
from voltpay.foundation.engines.redis.durability import durability_of, refuse_unsafe
from voltpay.foundation.engines.redis.names import CLAIM_PREFIX, EPOCH, PURGING, cursor_of
from voltpay.foundation.engines.redis.publish import Publication
from voltpay.foundation.seams.log import TopicRow

_TRIMMED_AT_ONCE: Final = 10_000
_READ_AT_ONCE: Final = 1_000


class LogUpkeep:
    """Fills the seam LogAdmin."""

    def __init__(self, server: Server, publication: Publication) -> None:
        self._server = server
        self._publication = publication

    async def durability(self) -> Mapping[str, str]:
        """CONFIG GET of what makes an append durable and keeps the log within its memory."""
        return await durability_of(self._server)

    async def check(self) -> None:
        """The settings that keep the promise."""
        await refuse_unsafe(self._server, "the log's server")

    async def prepare(self) -> None:
        """One script, all or nothing, on a server whose settings keep the promise."""
        await refuse_unsafe(self._server, "the log's server")
        wanted = {
            "partitions": self._publication.partitions,
            "shared": {row.name: row.groups for row in self._publication.read if not row.ordered},
            "ordered": {row.name: row.groups for row in self._publication.read if row.ordered},
        }
        await self._server.run(scripts.PREPARE, [], [json.dumps(wanted)])

    async def trim(self) -> int:
        """By MINID, in small steps, up to what the slowest group has finished."""
        gone = 0
        for row in self._publication.read:
            for partition, stream in enumerate(self._publication.streams_of(row.name)):
                gone += await self._trim_stream(row, partition, stream)
        return gone

    async def _trim_stream(self, row: TopicRow, partition: int, stream: str) -> int:
        gone, latest = 0, _TRIMMED_AT_ONCE
        words: list[Word]
        while latest >= _TRIMMED_AT_ONCE // 2:
            if row.ordered:
                keys = [stream, *(cursor_of(row.name, group) for group in row.groups)]
                words = [_TRIMMED_AT_ONCE, partition]
                latest = await self._server.run(scripts.TRIM_ORDERED, keys, words)
            else:
                words = [_TRIMMED_AT_ONCE, *row.groups]
                latest = await self._server.run(scripts.TRIM_SHARED, [stream], words)
            gone += latest
        return gone

    async def unfinished(self, topic: str, group: str) -> AsyncIterator[Sequence[bytes]]:
        """Beside the group: what is pending or not delivered, or behind the cursor."""
        is_ordered = self._publication.row(topic).ordered
        for partition, stream in enumerate(self._publication.streams_of(topic)):
            keys = [stream, cursor_of(topic, group)] if is_ordered else [stream]
            script = scripts.UNFINISHED_ORDERED if is_ordered else scripts.UNFINISHED_SHARED
            whose: Word = partition if is_ordered else group
            reached: Word = "" if is_ordered else "0-0"
            while True:
                words = [whose, reached, _READ_AT_ONCE]
                last, *bodies = await self._server.run(script, keys, words)
                if bodies:
                    yield bodies
                if not last:
                    break
                reached = last

    async def reset(self, topic: str, group: str) -> None:
        """Consumers that run notice at their next take or finish."""
        streams = self._publication.streams_of(topic)
        if self._publication.row(topic).ordered:
            await self._server.run(scripts.RESET_ORDERED, [cursor_of(topic, group), *streams])
        else:
            await self._server.run(scripts.RESET_SHARED, streams, [group])

    async def purge(self, epoch: int) -> None:
        """Nothing is accepted meanwhile; a purge that was interrupted must be repeated."""
        await self._server.run(scripts.SET_EPOCH, [EPOCH], [PURGING])
        for row in self._publication.read:
            streams = self._publication.streams_of(row.name)
            if row.ordered:
                await self._server.run(scripts.PURGE_ORDERED, streams, [row.name, *row.groups])
            else:
                await self._server.run(scripts.PURGE_SHARED, streams, row.groups)
        await self._drop_claims()
        await self._server.run(scripts.SET_EPOCH, [EPOCH], [epoch])

    async def _drop_claims(self) -> None:
        async for keys in self._server.scanned(CLAIM_PREFIX + b"*"):
            await self._server.call("UNLINK", *keys)
