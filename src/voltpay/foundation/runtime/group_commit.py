"""Group commit: callers wait for one effect each, and share one round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from voltpay.core.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")


class TooManyWaiting(Unavailable):
    """The bound of callers that wait for their effect is reached: refused, nothing was done."""

    slug = "overloaded"
    title = "Too much is waiting"


class GroupCommit(Generic[T, R]):
    """Call it with an item to get its result; what waits meanwhile goes out as the next group.

    `commit` gets the items of a group in order and gives one result each, or raises for all.
    At most `lanes` groups run at the same time, of at most `group_max` items; more than
    `waiting_max` callers are refused with TooManyWaiting. There is no timer before the first: a
    lone caller goes out at once. The next group follows no sooner than `pace_s` after, if the one
    before had `paced_from` items or more: where few come, nobody gains by waiting.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        group_max: int = 256,
        waiting_max: int = 4096,
        lanes: int = 1,
        pace_s: float = 0.0,
        paced_from: int = 1,
    ) -> None:
        self._commit = commit
        self._group_max = group_max
        self._waiting_max = waiting_max
        self._lanes = lanes
        self._pace_s = pace_s
        self._paced_from = paced_from
        self._next_s = 0.0
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, item: T) -> Awaitable[R]:
        """The item's result, once its group is committed. Raises what `commit` raised."""
        if len(self._waiting) >= self._waiting_max:
            raise TooManyWaiting("too many callers wait for the same store")
        if self._loop is None:
            # Asked for once: on Python 3.11 it is a system call, and there are many items.
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = self._loop.create_future()
        self._waiting.append((item, future))
        if self._running < self._lanes:
            self._running += 1
            self._idle.clear()
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _run(self) -> None:
        # One turn of the loop lets callers that are ready in this very turn join the first group.
        try:
            await asyncio.sleep(0)
            await self._until_its_time()
            while self._waiting:
                group = self._waiting[: self._group_max]
                del self._waiting[: self._group_max]
                if len(group) < self._paced_from:
                    self._next_s = 0.0
                await self._commit_one(group)
                await self._until_its_time()
        finally:
            # Counted here, not in a callback of the task: a caller that got its result in this
            # turn and calls again would meet a lane that is neither running nor free.
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def _until_its_time(self) -> None:
        if not self._pace_s or not self._waiting:
            return
        now_s = asyncio.get_running_loop().time()
        if now_s < self._next_s:
            await asyncio.sleep(self._next_s - now_s)
        self._next_s = max(now_s, self._next_s) + self._pace_s

    async def _commit_one(self, group: list[tuple[T, "asyncio.Future[R]"]]) -> None:
        try:
            results = await self._commit([item for item, _ in group])
            pairs = list(zip(group, results, strict=True))
        except BaseException as error:
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), result in pairs:
            if not future.done():
                future.set_result(result)

    @property
    def waiting(self) -> int:
        """How many callers wait for a group to take them."""
        return len(self._waiting)

    async def drain(self) -> None:
        """Wait until all that was called is committed."""
        await self._idle.wait()
