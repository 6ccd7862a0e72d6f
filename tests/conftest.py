"""Real engines for every test: one installation a session, a fresh database a test."""

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import hypothesis
import pytest
import redis
import structlog
from tests.stack import Stack

from voltpay.foundation.engines.embedded import EmbeddedEngines, EngineUrls
from voltpay.migrations import migrate_up

Answer = TypeVar("Answer")
# The machine may stand still in the middle of an example: no test is about time.
hypothesis.settings.register_profile("voltpay", deadline=None)
hypothesis.settings.load_profile("voltpay")
LOG_MEMORY_BYTES = 256 * 1024 * 1024
CACHE_MEMORY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Installation:
    """Running engines and the folder that they live in."""

    data: Path
    urls: EngineUrls
    engines: EmbeddedEngines


class Databases:
    """Makes databases as copies of a migrated one, over one connection for the whole session."""

    TEMPLATE = "voltpay_template"

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = count(1)
        self._loop = asyncio.new_event_loop()
        self._admin = self._run(asyncpg.connect(url))
        self._execute(f"create database {self.TEMPLATE}")
        migrate_up(self.url_of(self.TEMPLATE))

    def url_of(self, name: str) -> str:
        """The address of a database of the installation."""
        return self._url.replace("@/voltpay?", f"@/{name}?")

    def make(self, *, is_migrated: bool) -> str:
        """The name of a new database."""
        name = f"test_{next(self._numbers)}"
        template = self.TEMPLATE if is_migrated else "template1"
        self._execute(f"create database {name} template {template}")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it.

        Autovacuum's own workers are the one exception: only a superuser may end them.
        """
        while True:
            try:
                self._execute(f"drop database if exists {name} with (force)")
            except (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectInUseError):
                time.sleep(0.1)
            else:
                return

    def close(self) -> None:
        """Give the connection back."""
        self._run(self._admin.close())
        self._loop.close()

    def _execute(self, statement: str) -> None:
        if self._admin.is_closed():
            self._admin = self._run(asyncpg.connect(self._url))
        self._run(self._admin.execute(statement))

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self._loop.run_until_complete(work)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A test that configures the logs of its process leaves nothing of it behind."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """The engines of this session, in a folder that is removed with them."""
    root = Path(tempfile.mkdtemp(prefix="voltpay-test-"))
    root.chmod(0o711)
    engines = EmbeddedEngines(
        root / "data", log_memory_bytes=LOG_MEMORY_BYTES, cache_memory_bytes=CACHE_MEMORY_BYTES
    )
    try:
        yield Installation(root / "data", engines.start(), engines)
    finally:
        engines.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(installation: Installation) -> Iterator[Databases]:
    """Makes and drops databases."""
    made = Databases(installation.urls.database)
    yield made
    made.close()


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A fresh, migrated database."""
    name = databases.make(is_migrated=True)
    yield databases.url_of(name)
    databases.drop(name)


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A fresh database that nothing was applied to."""
    name = databases.make(is_migrated=False)
    yield databases.url_of(name)
    databases.drop(name)


@pytest.fixture
def log_url(installation: Installation) -> str:
    """An empty Valkey with the settings of the log."""
    return _emptied(installation.urls.log, LOG_MEMORY_BYTES)


@pytest.fixture
def cache_url(installation: Installation) -> str:
    """An empty Valkey with the settings of the cache."""
    return _emptied(installation.urls.cache, CACHE_MEMORY_BYTES)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for a file's installations, that PostgreSQL's own user may enter."""
    root = Path(tempfile.mkdtemp(prefix="voltpay-stack-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """A whole Voltpay, started once for a file, at its first use."""
    with Stack(folder / "data") as running:
        yield running


def _emptied(url: str, memory_bytes: int) -> str:
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory", memory_bytes)
        client.flushall()
    return url
