"""What a service hands to the role that runs it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from litestar.types import ControllerRouterHandler

from voltpay.foundation.runtime.shortcuts import Shortcuts
from voltpay.foundation.runtime.stages import BatchStage, WindowStage


@dataclass(frozen=True)
class Periodic:
    """Work that repeats: `run` again `every_ms` after it ended; Unavailable backs off.

    A role is ready only while all work that `is_needed` goes well.
    """

    name: str
    every_ms: int
    run: Callable[[], Awaitable[None]]
    is_needed: bool = True


async def _nothing() -> None:
    return


@dataclass(frozen=True)
class Part:
    """A service put together. Making one opens nothing; a role runs what its row names.

    What `shortcuts` answer, `handlers` answer, too: the same, by the framework's way.
    """

    stages: Mapping[str, BatchStage | WindowStage] = field(default_factory=dict)
    handlers: Sequence[ControllerRouterHandler] = ()
    shortcuts: Shortcuts = field(default_factory=dict)
    periodics: Sequence[Periodic] = ()
    close: Callable[[], Awaitable[None]] = _nothing
