"""Every engine that fills a seam, as one parameter."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.contracts.servers import CACHE, LOG, StreamServer, program_of
from tests.contracts.worlds import CacheWorld, RedisWorld

ENGINES = ("valkey", "redis")


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The program of an engine that this machine has."""
    name: str = request.param
    program = program_of(name)
    if program is None:
        pytest.skip(f"{name}-server not found: apt-get install redis-server")
    return program


@pytest.fixture(scope="session")
def log_server(engine: str) -> Iterator[StreamServer]:
    """A server with the settings of the log."""
    server = StreamServer(engine, LOG)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def cache_server(engine: str) -> Iterator[StreamServer]:
    """A server with the settings of the cache."""
    server = StreamServer(engine, CACHE)
    yield server
    server.remove()


@pytest.fixture
async def world(log_server: StreamServer) -> AsyncIterator[RedisWorld]:
    """An empty log that nobody has prepared."""
    log_server.empty()
    made = RedisWorld(log_server)
    yield made
    await made.close()


@pytest.fixture
async def cache_world(cache_server: StreamServer) -> AsyncIterator[CacheWorld]:
    """An empty cache."""
    cache_server.empty()
    made = CacheWorld(cache_server)
    yield made
    await made.close()
