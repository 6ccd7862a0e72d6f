"""The low-priority topic of a window loop: each record waits its delay, then for its share."""

import asyncio
from collections.abc import Callable

from voltpay.foundation.runtime.dispatch import Dispatch, Window
from voltpay.foundation.runtime.retry import wait_or
from voltpay.foundation.seams.log import Consumer, Delivery


class LowLane:
    """Reads the low-priority topic in order; with one fixed delay, its head is always next due.

    What it has taken and not started holds no room: it waits for its time, not for a place.
    """

    def __init__(self, window: Window, consumer: Callable[[], Consumer]) -> None:
        self._window = window
        self._consumer = consumer
        self._woken_ms = 0
        self._nudged = asyncio.Event()

    def wake(self) -> None:
        """Let all that was appended so far go without waiting for its time."""
        self._woken_ms = self._window.clock.now_ms()
        self.nudge()

    def nudge(self) -> None:
        """Look again, whether to go or to stop."""
        self._nudged.set()

    async def work(self) -> None:
        """Go on until the loop stops, then wait for what is under way."""
        room = self._window.room
        dispatch = Dispatch(self._window, self._consumer(), room.leave_low)
        async with dispatch.opened():
            while not self._window.stop.is_set():
                waiting = await dispatch.take(self._window.limits.take_max)
                room.is_low_due = room.is_low_due and bool(waiting)
                for delivery in waiting:
                    await self._until_due(delivery)
                    await self._until_room()
                    if self._window.stop.is_set():
                        return
                    room.enter_low()
                    dispatch.start(delivery)

    async def _until_due(self, delivery: Delivery) -> None:
        while not self._window.stop.is_set() and (left_ms := self._left_ms(delivery)) > 0:
            self._window.room.is_low_due = False
            await wait_or(self._nudged, left_ms / 1000)
            self._nudged.clear()
        self._window.room.is_low_due = True

    def _left_ms(self, delivery: Delivery) -> int:
        if delivery.appended_at_ms <= self._woken_ms:
            return 0
        window = self._window
        return delivery.appended_at_ms + window.limits.delay_ms - window.clock.now_ms()

    async def _until_room(self) -> None:
        window = self._window
        while not window.stop.is_set() and not self._may_start():
            await window.until_changed()

    def _may_start(self) -> bool:
        return not self._window.health.is_troubled and self._window.room.for_low() > 0
