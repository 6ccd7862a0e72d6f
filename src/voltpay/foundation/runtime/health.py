"""Whether a loop that handles many messages at once does its work, as /readyz tells."""

from collections.abc import Iterator
from contextlib import contextmanager

from voltpay.foundation.runtime.batch_loop import PAUSED


class Health:
    """Whether a loop does its work: it can take, and no message waits for what is away."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_well = False
        self._troubled = 0

    @property
    def is_ready(self) -> bool:
        """Whether it takes messages and gets them done."""
        return self._is_well and not self._troubled

    @property
    def is_troubled(self) -> bool:
        """Whether a message that was taken waits for what is away."""
        return self._troubled > 0

    def note(self, *, is_well: bool) -> None:
        """The latest take went well, or not."""
        self._is_well = is_well
        self._show()

    @contextmanager
    def trouble(self) -> Iterator[None]:
        """Inside, one message waits."""
        self._troubled += 1
        self._show()
        try:
            yield
        finally:
            self._troubled -= 1
            self._show()

    def _show(self) -> None:
        PAUSED.labels(self._name).set(0 if self.is_ready else 1)
