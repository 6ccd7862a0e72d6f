"""Installations to measure: each of its own, in a temporary folder, on free ports."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final

import msgspec
from rich.console import Console

from voltpay.app.settings import PREFIX, Settings, read_settings
from voltpay.app.topology import TopicNames
from voltpay.cli.installation import found, with_sandbox
from voltpay.cli.trial import free_ports, started
from voltpay.foundation.engines.embedded import EmbeddedEngines
from voltpay.foundation.engines.kafka.unmaking import without_topics

_TOPICS_TIMEOUT_S: Final = 30


@dataclass(frozen=True)
class Installed:
    """One that runs: its folder, where its API listens, and its settings."""

    folder: Path
    url: str
    settings: Settings


@contextmanager
def installed(*, kafka: str | None = None, partitions: int | None = None) -> Iterator[Installed]:
    """A whole Voltpay; with `kafka://…` its log is there, on topics that are deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="voltpay-bench-"))
    # PostgreSQL runs as another user than root, and must be able to enter.
    folder.chmod(0o711)
    ports = free_ports(3)
    wanted: dict[str, object] = {} if partitions is None else {"partitions": partitions}
    try:
        with ExitStack() as stack:
            if kafka is not None:
                wanted |= stack.enter_context(_engines_beside(kafka, folder / "engines"))
            data, quiet = folder / "data", Console(quiet=True)
            stack.enter_context(started(data, ports, quiet, environment_of(wanted)))
            url = f"http://127.0.0.1:{ports[0]}"
            if kafka is not None:
                settings = with_sandbox(read_settings(None, wanted), (ports[1], ports[2]))
            else:
                settings = stack.enter_context(found(data, None)).model_copy(update=wanted)
            yield Installed(data, url, settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment_of(settings: Mapping[str, object]) -> Mapping[str, str]:
    """The variables that say these settings."""
    return {
        f"{PREFIX}{name.upper()}": value
        if isinstance(value, str)
        else msgspec.json.encode(value).decode()
        for name, value in settings.items()
    }


@contextmanager
def _engines_beside(kafka: str, folder: Path) -> Iterator[Mapping[str, object]]:
    """What an installation on a Kafka needs besides: the embedded engines, topics of its own."""
    mark = token_hex(4)
    topics = {name: f"bench-{mark}.{name}" for name in TopicNames.model_fields}
    engines = EmbeddedEngines(folder)
    try:
        urls = engines.start()
        yield {
            "log_url": kafka,
            "claims_url": urls.log,
            "cache_url": urls.cache,
            "database_url": urls.database,
            "secret": token_hex(32),
            "topics": topics,
        }
    finally:
        engines.stop()
        without_topics(kafka, list(topics.values()), timeout_s=_TOPICS_TIMEOUT_S)
