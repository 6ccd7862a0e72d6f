"""Bounds on how long things take, looked at a few times a second: many share one timer.

A timer each is exact, and costs a busy loop more than what it guards. Where a bound is a last
resort, late by a moment is as good.
"""

import asyncio
from types import TracebackType
from typing import Final

_LOOK_S: Final = 0.1


class Overdue:
    """Ends what takes longer than it may, within a tenth of a second after its time."""

    def __init__(self) -> None:
        self._bounds: set[Bound] = set()
        self._alarm: asyncio.TimerHandle | None = None

    def bound(self, seconds: float) -> "Bound":
        """A context that raises TimeoutError once it has taken so long, as asyncio.timeout does."""
        return Bound(self, seconds)

    def begin(self, bound: "Bound") -> tuple[float, asyncio.AbstractEventLoop]:
        """Look at it from now on; gives now, in seconds, and the loop that it is of.

        The loop is asked for once: on Python 3.11 that is a system call.
        """
        self._bounds.add(bound)
        if self._alarm is None:
            self._loop = asyncio.get_running_loop()
            self._alarm = self._loop.call_later(_LOOK_S, self._look)
        return self._loop.time(), self._loop

    def end(self, bound: "Bound") -> None:
        """Look at it no more."""
        self._bounds.discard(bound)

    def _look(self) -> None:
        now_s = self._loop.time()
        for bound in [each for each in self._bounds if each.due_s <= now_s]:
            bound.expire()
            self._bounds.discard(bound)
        self._alarm = self._loop.call_later(_LOOK_S, self._look) if self._bounds else None


class Bound:
    """See `Overdue.bound`. For one use, by the task that enters it."""

    __slots__ = ("_cancelling", "_is_expired", "_overdue", "_seconds", "_task", "due_s")

    def __init__(self, overdue: Overdue, seconds: float) -> None:
        self._overdue = overdue
        self._seconds = seconds
        self._is_expired = False

    def __enter__(self) -> None:
        now_s, loop = self._overdue.begin(self)
        task = asyncio.current_task(loop)
        assert task is not None, "only a task can be ended"
        self._task = task
        self._cancelling = task.cancelling()
        self.due_s = now_s + self._seconds

    def expire(self) -> None:
        """Its time is up."""
        self._is_expired = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._overdue.end(self)
        # Somebody else's cancellation, at the same time, is not ours to swallow.
        if (
            self._is_expired
            and self._task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error
