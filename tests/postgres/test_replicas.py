"""Standbys: a real one beside a real primary, stopped, killed, late; nobody reads the past."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from voltpay.foundation.engines.embedded import EmbeddedEngines
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.foundation.engines.postgres.positions import (
    POSITION,
    parsed,
    read_from,
    reading,
    shown,
)
from voltpay.foundation.engines.postgres.replicas import ReplicaBounds, Replicas, Server
from voltpay.foundation.seams.clock import SystemClock

BOUNDS = ReplicaBounds(lag_max_ms=300, wait_max_ms=50)
WRITES = 10_000
AT_ONCE = 32


@pytest.fixture(scope="module")
def engines() -> Iterator[EmbeddedEngines]:
    """A primary and its standby."""
    root = Path(tempfile.mkdtemp(prefix="voltpay-replica-"))
    root.chmod(0o711)
    made = EmbeddedEngines(root / "data", with_replica=True)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root, ignore_errors=True)


def server(url: str, name: str, size_max: int = 8) -> Server:
    return Server(
        Postgres(url, name=name, size_max=size_max, timeout_ms=2_000),
        Postgres(url, name=f"{name}-watch", size_max=1, timeout_ms=1_000),
    )


class Pair:
    """Reads on both, and a table to write to."""

    def __init__(self, engines: EmbeddedEngines) -> None:
        urls = engines.urls
        self.engines = engines
        self.writer = Postgres(urls.database, name="writer", size_max=AT_ONCE)
        self.standby = Postgres(urls.replica, name="standby", size_max=1)
        self.replicas = Replicas(
            server(urls.database, "reads"),
            [server(urls.replica, "reads", AT_ONCE)],
            SystemClock(),
            BOUNDS,
        )

    async def write(self, number: int) -> int:
        """Write a row; gives the position at which it is there."""
        async with self.writer.session() as session:
            await session.execute("insert into noted values ($1)", number)
            return read_from(await session.fetch_value(POSITION))

    async def has(self, number: int, after: int | None) -> bool:
        """Whether a row is read, and where: on the standby or on the primary."""
        with reading(after) as seen:
            found = await self.replicas.fetch("select 1 from noted where number = $1", number)
        assert seen is None or after is None or seen.seen >= after
        return bool(found)

    async def is_on_standby(self) -> bool:
        """Whether a question goes to the standby just now."""
        return bool(await self.replicas.fetch_value("select pg_is_in_recovery()"))

    async def until_on_standby(self, wanted: bool) -> None:
        """Look until questions go there, or no longer do."""
        end = time.monotonic() + 30
        while True:
            await self.replicas.look()
            if await self.is_on_standby() is wanted:
                return
            assert time.monotonic() < end
            await asyncio.sleep(0.05)

    async def until_replayed(self, position: int) -> None:
        """Look until the standby has what stood at a position."""
        end = time.monotonic() + 30
        while read_from(await self.standby.fetch_value(POSITION)) < position:
            assert time.monotonic() < end
            await asyncio.sleep(0.01)

    def replaying(self) -> int:
        """The standby's process that replays."""
        family = psutil.Process(self.engines.pids()["replica"]).children(recursive=True)
        (pid,) = [one.pid for one in family if "startup" in " ".join(one.cmdline())]
        return pid

    async def close(self) -> None:
        await self.replicas.close()
        await self.writer.close()
        await self.standby.close()


@pytest.fixture
async def pair(engines: EmbeddedEngines) -> AsyncIterator[Pair]:
    """Both, an empty table, and the standby in use."""
    made = Pair(engines)
    await made.writer.execute("drop table if exists noted")
    await made.writer.execute("create table noted (number integer primary key)")
    await made.until_on_standby(True)
    await made.until_replayed(read_from(await made.writer.fetch_value(POSITION)))
    yield made
    await made.close()


async def test_without_a_look_everything_is_asked_of_the_primary(engines: EmbeddedEngines) -> None:
    pair = Pair(engines)
    try:
        assert not await pair.is_on_standby()
    finally:
        await pair.close()


async def test_what_was_written_is_read_at_its_position_on_a_standby_that_follows(
    pair: Pair,
) -> None:
    on_standby = 0
    for number in range(200):
        position = await pair.write(number)
        assert await pair.has(number, position)
        with reading(position):
            on_standby += await pair.is_on_standby()
    assert on_standby > 150


async def test_ten_thousand_reads_of_ones_own_writes_while_the_replay_stands_still(
    pair: Pair,
) -> None:
    replaying, left = pair.replaying(), iter(range(WRITES))
    stale: list[int] = []
    looks = 0

    async def write_and_read() -> None:
        for number in left:
            is_there = await pair.has(number, await pair.write(number))
            stale.extend([] if is_there else [number])

    async def look() -> None:
        nonlocal looks
        while True:
            await pair.replicas.look()
            looks += 1
            await asyncio.sleep(0.1)

    os.kill(replaying, signal.SIGSTOP)
    looking = asyncio.create_task(look())
    try:
        await asyncio.gather(*(write_and_read() for _ in range(AT_ONCE)))
        assert await pair.standby.fetch_value("select count(*) from noted") == 0
    finally:
        os.kill(replaying, signal.SIGCONT)
        looking.cancel()
    assert stale == []
    assert looks > 1
    await pair.until_on_standby(True)
    with reading(read_from(await pair.writer.fetch_value(POSITION))):
        assert await pair.replicas.fetch_value("select count(*) from noted") == WRITES


async def test_a_standby_that_is_late_is_left_out_and_comes_back_by_itself(pair: Pair) -> None:
    replaying = pair.replaying()
    os.kill(replaying, signal.SIGSTOP)
    try:
        await pair.write(1)
        await pair.until_on_standby(False)
        assert await pair.has(1, None)
    finally:
        os.kill(replaying, signal.SIGCONT)
    await pair.until_on_standby(True)


async def test_a_standby_that_died_costs_no_question_its_answer(pair: Pair) -> None:
    position = await pair.write(1)
    # A standby that is about to end may still answer, of what it had.
    await pair.until_replayed(position)
    os.kill(pair.engines.pids()["replica"], signal.SIGKILL)
    for _ in range(50):
        assert await pair.has(1, None)
    await pair.until_on_standby(False)
    while "replica" not in pair.engines.check():
        await asyncio.sleep(0.05)
    await pair.until_on_standby(True)
    assert await pair.has(1, position)


@pytest.mark.parametrize("text", ["0", "15D6B70", "FFFFFFFFFFFFFFFF", "1000A"])
def test_a_position_is_shown_as_it_was_read(text: str) -> None:
    position = parsed(text)
    assert position is not None
    assert shown(position) == text


@pytest.mark.parametrize(
    "text", ["", "/", "0/1", "g", " 1", "+1", "-1", "1_0", "0x1", "²", "1" * 17]
)
def test_what_is_no_position_is_none(text: str) -> None:
    assert parsed(text) is None
