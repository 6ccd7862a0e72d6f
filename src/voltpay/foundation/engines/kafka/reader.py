"""A member of a group as the loop sees it: takes of what it has read, commits what is finished.

Records wait in a bounded buffer. Several consumers of one process may share a reader.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from confluent_kafka import KafkaError

from voltpay.foundation.engines.kafka.connect import Cluster
from voltpay.foundation.engines.kafka.holdings import Holdings
from voltpay.foundation.engines.kafka.member import Member, error_of
from voltpay.foundation.engines.kafka.membership import GroupProtocol, Membership
from voltpay.foundation.engines.log_errors import LogAway
from voltpay.foundation.runtime.group_commit import GroupCommit
from voltpay.foundation.runtime.retry import wait_or
from voltpay.foundation.seams.log import Delivery

_JOIN_S: Final = 10.0
_CATCH_UP_S: Final = 5.0
_ASK_S: Final = 2.0
_NOT_SPOKEN: Final = "not supported"
"""What the library says in words alone when the cluster does not know the newer protocol."""

log = structlog.get_logger()


class Reader:
    """A member, made at the first take, and its buffers.

    `unread` asks the cluster where those partitions end that the group has not finished.
    """

    def __init__(
        self,
        cluster: Cluster,
        membership: Membership,
        protocol: GroupProtocol,
        unread: Callable[[], Awaitable[Mapping[int, int]]],
    ) -> None:
        self.membership = membership
        self._cluster = cluster
        self._protocol = protocol
        self._unread = unread
        self._member: Member | None = None
        self._held = Holdings(membership.topic, self._tell_room, self._ended)
        self._commit: GroupCommit[None, None] = GroupCommit(self._commit_all)

    @property
    def speaks_classic(self) -> bool:
        """Whether the cluster turned out not to speak the newer protocol of groups."""
        return self._protocol.is_classic

    @property
    def owned(self) -> frozenset[int]:
        """Partitions that this member has now, and keeps."""
        return self._held.owned

    async def take(self, count_max: int, wait_ms: int) -> list[Delivery]:
        """What is buffered; with no time to wait, after a look at what the cluster has."""
        self._begin()
        if self._held.failure:
            await self._recover()
        if not wait_ms:
            await self._catch_up()
        clock = asyncio.get_running_loop().time
        ends_at = clock() + wait_ms / 1000
        while True:
            found = self._held.take(count_max)
            left_s = ends_at - clock()
            if found or left_s <= 0:
                return found
            self._held.changed.clear()
            await wait_or(self._held.changed, left_s)
            if self._held.failure:
                raise self._held.failure

    def _begin(self) -> None:
        if self._member is None:
            config = self._protocol.config_of(self._cluster.config, self.membership)
            tell = _teller(asyncio.get_running_loop())
            self._member = Member(self.membership, config, self._held, tell)

    async def _recover(self) -> None:
        """Go on if the cluster answers."""
        failure, topic = self._held.failure, self.membership.cluster_topic
        await self._cluster.run(lambda: self._cluster.admin.list_topics(topic, timeout=_ASK_S))
        if self._held.failure is failure:
            self._held.failure = None

    async def _catch_up(self) -> None:
        """Wait until all is buffered that is on the partitions now, or the buffer is full."""
        async with _bounded(_JOIN_S):
            while not (self._held.has_joined or self._held.failure):
                self._held.changed.clear()
                await self._held.changed.wait()
        if self._held.failure:
            raise self._held.failure
        wanted = await self._unread()
        async with _bounded(_CATCH_UP_S):
            while not (self._held.buffers.has_reached(wanted) or self._held.is_full):
                self._held.changed.clear()
                await self._held.changed.wait()

    async def finish(self, deliveries: Iterable[Delivery]) -> None:
        """Commit up to where everything is finished. Raises Unavailable; repeat it then."""
        if self._held.finished(deliveries):
            await self._commit(None)
        self._held.let_go()

    async def _commit_all(self, callers: Sequence[None]) -> Sequence[None]:
        member, marks = self._member, dict(self._held.uncommitted)
        if member is not None and marks:
            await member.commit(marks, self._held.turn)
            self._held.committed(marks)
        return callers

    def is_open(self, delivery: Delivery) -> bool:
        """Whether it was taken and is not committed, of a partition that is still here."""
        return self._held.buffers.is_open(delivery)

    def put_back(self, deliveries: Iterable[Delivery]) -> None:
        """They were taken and are not committed: they come again, before what is buffered."""
        self._held.buffers.put_back(deliveries)
        self._held.changed.set()

    async def read_again(self) -> None:
        """All partitions from their oldest record."""
        if self._member is not None:
            self._held.was_set_back.clear()
            self._member.wish_set_back()
            await self._held.was_set_back.wait()

    async def close(self) -> None:
        """Leave the group, without waiting for what was taken."""
        member, self._member = self._member, None
        self._held.clear()
        if member is not None:
            member.close()
            await asyncio.to_thread(member.join, _JOIN_S)

    def _ended(self, error: KafkaError | None) -> None:
        if self._member is None:
            return
        self._member = None
        self._held.clear()
        if error is not None and _NOT_SPOKEN in error.str() and not self._protocol.is_classic:
            log.info("kafka.classic_groups", why=error.str())
            self._protocol.is_classic = True
            self._begin()
            return
        self._held.failed(error_of(error))

    def _tell_room(self, has_room: bool) -> None:
        if self._member is not None:
            self._member.has_room(has_room)


def _teller(loop: asyncio.AbstractEventLoop) -> Callable[..., object]:
    def tell(call: Callable[..., object], *arguments: object) -> None:
        # A thread may outlive the loop by a moment.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(call, *arguments)

    return tell


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    """As asyncio.timeout, but raises LogAway."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise LogAway(f"no answer within {seconds:.0f} s") from error
