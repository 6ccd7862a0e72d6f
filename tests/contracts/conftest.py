"""Every engine that fills a seam, as one parameter."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests import brokers
from tests.contracts.kafka_world import KafkaServers, KafkaWorld
from tests.contracts.servers import CACHE, LOG, StreamServer, program_of
from tests.contracts.worlds import CacheWorld, LogWorld, RedisWorld

REDIS_ENGINES = ("valkey", "redis")
LOG_ENGINES = (*REDIS_ENGINES, "kafka")


def found_program(name: str) -> str:
    """The server's program, or a skip that says how to get it."""
    program = program_of(name)
    if program is None:
        pytest.skip(f"{name}-server not found: apt-get install redis-server")
    return program


@pytest.fixture(scope="session")
def kafka_servers() -> Iterator[KafkaServers]:
    """A broker, and the server of the claims beside it."""
    libs = brokers.jars()
    if libs is None:
        pytest.skip(brokers.HOW_TO_GET)
    servers = KafkaServers(libs, StreamServer(found_program("valkey"), LOG))
    yield servers
    servers.remove()


@pytest.fixture(scope="session", params=LOG_ENGINES)
def log_server(request: pytest.FixtureRequest) -> Iterator[StreamServer | KafkaServers]:
    """What holds the log: one server with the log's settings, or a broker and its claims."""
    if request.param == "kafka":
        yield request.getfixturevalue("kafka_servers")
        return
    server = StreamServer(found_program(request.param), LOG)
    yield server
    server.remove()


@pytest.fixture
async def kafka_world(kafka_servers: KafkaServers) -> AsyncIterator[KafkaWorld]:
    """As `world`, on Kafka alone."""
    kafka_servers.empty()
    made = KafkaWorld(kafka_servers)
    yield made
    await made.close()


@pytest.fixture(scope="session", params=REDIS_ENGINES)
def cache_server(request: pytest.FixtureRequest) -> Iterator[StreamServer]:
    """A server with the settings of the cache."""
    server = StreamServer(found_program(request.param), CACHE)
    yield server
    server.remove()


@pytest.fixture
async def world(log_server: StreamServer | KafkaServers) -> AsyncIterator[LogWorld]:
    """An empty log that nobody has prepared."""
    log_server.empty()
    made = (
        KafkaWorld(log_server) if isinstance(log_server, KafkaServers) else RedisWorld(log_server)
    )
    yield made
    await made.close()


@pytest.fixture(scope="session", params=REDIS_ENGINES)
def stream_server(request: pytest.FixtureRequest) -> Iterator[StreamServer]:
    """A server with the settings of the log, for what is the Redis engine's own."""
    server = StreamServer(found_program(request.param), LOG)
    yield server
    server.remove()


@pytest.fixture
async def redis_world(stream_server: StreamServer) -> AsyncIterator[RedisWorld]:
    """As `world`, on Redis and Valkey alone."""
    stream_server.empty()
    made = RedisWorld(stream_server)
    yield made
    await made.close()


@pytest.fixture
async def cache_world(cache_server: StreamServer) -> AsyncIterator[CacheWorld]:
    """An empty cache."""
    cache_server.empty()
    made = CacheWorld(cache_server)
    yield made
    await made.close()
