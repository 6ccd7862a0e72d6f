"""Adapters by name: entry points of the group `voltpay.processors`.

An entry point names something that makes a Processor of ProcessorSettings; a class will do. Any
installed package may bring one.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from voltpay.core.errors import Misconfigured
from voltpay.processors.seam import Processor
from voltpay.processors.settings import ProcessorSettings

GROUP: Final = "voltpay.processors"


def adapters() -> dict[str, EntryPoint]:
    """The adapters that are installed, by name."""
    return {each.name: each for each in entry_points(group=GROUP)}


def make(settings: ProcessorSettings) -> Processor:
    """The processor of the settings; opens nothing. Raises Misconfigured without such adapter."""
    installed = adapters()
    entry = installed.get(settings.adapter)
    if entry is None:
        raise Misconfigured(
            f"processor {settings.name}: there is no adapter {settings.adapter}",
            "choose one of those that are installed: " + ", ".join(sorted(installed)),
        )
    return _loaded(entry, settings.name)(settings)


def _loaded(entry: EntryPoint, processor: str) -> Callable[[ProcessorSettings], Processor]:
    try:
        adapter: Callable[[ProcessorSettings], Processor] = entry.load()
    except (ImportError, AttributeError) as error:
        raise Misconfigured(
            f"processor {processor}: the adapter {entry.name} cannot be loaded: {error}",
            f"install what {entry.value} needs",
        ) from error
    return adapter
