"""How cost grows: with clients, with what waits, with processes of a role, with partitions."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import perf_counter, sleep
from typing import Final
from urllib.request import urlopen

import uvloop

from voltpay.app.settings import Settings
from voltpay.cli.bench import whole
from voltpay.cli.bench.installed import Installed, environment_of, installed
from voltpay.cli.bench.round import Say, Values
from voltpay.cli.bench.wanted import ON_KAFKA
from voltpay.cli.installation import opened_house
from voltpay.cli.ports import free_ports
from voltpay.core.errors import Misconfigured

CLIENTS: Final = (1, 8, 64, 512)
BACKLOGS: Final = (5_000, 20_000, 80_000)
PROCESSES: Final = (1, 2, 4)
PARTITIONS: Final = (1, 4, 16, 100)
_BACKLOG: Final = 20_000
_WORKERS: Final = ("routing",)
_WORKERS_ON_KAFKA: Final = ("routing", "ledger", "projection")
"""Ordered partitions are shared out on Kafka alone: elsewhere a second ledger only stands by."""
_READY_S: Final = 30.0
_LOOK_S: Final = 0.1
_STOP_S: Final = 30.0


def measure(values: Values, seconds: float, kafka: str | None, say: Say) -> None:
    """One thing varied at a time, from the ordinary; on Redis, and on Kafka if there is one."""
    _measure(values, "", None, seconds, say)
    if kafka is not None:
        _measure(values, ON_KAFKA, kafka, seconds, say)


def _measure(values: Values, before: str, kafka: str | None, seconds: float, say: Say) -> None:
    say(f"{before}by clients")
    with installed(kafka=kafka) as made:
        uvloop.run(_by_clients(values, before, made, seconds))
    say(f"{before}by backlog")
    with installed(kafka=kafka) as made:
        for backlog in BACKLOGS:
            uvloop.run(_drained(values, f"{before}by backlog, {backlog:,}", made, backlog))
    workers = _WORKERS if kafka is None else _WORKERS_ON_KAFKA
    for count in PROCESSES:
        say(f"{before}by processes of {', '.join(workers)}: {count} each")
        names = [name for name in workers for _ in range(count - 1)]
        with installed(kafka=kafka) as made, more_of(made.settings, names):
            uvloop.run(_drained(values, f"{before}by processes, {count} each", made, _BACKLOG))
    for count in PARTITIONS:
        say(f"{before}by partitions: {count}")
        with installed(kafka=kafka, partitions=count) as made:
            uvloop.run(_drained(values, f"{before}by partitions, {count}", made, _BACKLOG))


async def _by_clients(values: Values, before: str, made: Installed, seconds: float) -> None:
    for clients in CLIENTS:
        burst = await whole.accepted(made.settings, made.url, clients, seconds)
        name = f"{before}by clients, {clients}: "
        values[name + "accept"].append(burst.per_s(202))
        values[name + "accept, p99"].append(burst.percentile_ms(0.99))


async def _drained(values: Values, name: str, made: Installed, backlog: int) -> None:
    async with opened_house(made.settings, "bench") as house:
        await whole.fail(made.settings)
        waiting = await whole.filled(house, made.settings, made.url, backlog)
        drained = await whole.drained(house, made.settings, waiting)
    values[f"{name}: drain"].append(drained.per_s)
    values[f"{name}: CPU a payment"].append(sum(drained.micros.values()))


@contextmanager
def more_of(settings: Settings, names: Sequence[str]) -> Iterator[None]:
    """A process more of each of these roles than the installation has."""
    with ExitStack() as stack:
        ports = free_ports(len(names))
        for name, port in zip(names, ports, strict=True):
            stack.enter_context(_running(name, port, settings))
        for port in ports:
            _await_ready(port)
        yield


@contextmanager
def _running(name: str, port: int, settings: Settings) -> Iterator[None]:
    given = {
        "log_url": settings.log_url,
        "claims_url": settings.claims_url,
        "cache_url": settings.cache_url,
        "database_url": settings.database_url.get_secret_value(),
        "secret": settings.secret.get_secret_value(),
        "topics": settings.topics.model_dump(),
        "processors": [each.model_dump(mode="json") for each in settings.processors],
        "sandbox": True,
    }
    command = [sys.executable, "-m", "voltpay", "run", name, "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603
        command,
        env={**os.environ, **environment_of(given)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _await_ready(port: int) -> None:
    end = perf_counter() + _READY_S
    while perf_counter() < end:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz") as told:
                if told.status == 200:
                    return
        except OSError:
            sleep(_LOOK_S)
    raise Misconfigured("a worker more did not get ready", "see what `voltpay run` says")
