"""The cluster that compose.yaml describes, as tests run it: its processes, load, and verdict."""

import asyncio
import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from tests import brokers
from tests.gateway.conftest import haproxy
from tests.positions import waiting_in

from loopback.__main__ import opened, serves
from loopback.cluster import Cluster, until
from voltpay.app.roles import role_named
from voltpay.app.settings import Settings, read_settings
from voltpay.cli.demo.load import Load
from voltpay.core.errors import Unavailable
from voltpay.services.reconciliation.history import History

NETWORK = 78
GENEROUS = {"RATE_PER_S": "100000", "CONNECTIONS_MAX": "4096"}
"""One client makes all of the load: what is meant for one of many does not bind it."""
ROLL_PAUSE_S = 2
"""The gateway looks every half second, and sends to a new process after two looks."""
ROLES = ("ingest", "routing", "ledger", "projection", "inquiry")


class Wide:
    """A running cluster, and what a test asks of it."""

    def __init__(self, cluster: Cluster, state: Path) -> None:
        self.cluster = cluster
        self.state = state
        self.asked = state / "asked.history"
        """What any load of this cluster asked for: reconciliation needs all of it."""
        self.url = f"https://{cluster.instances['gateway-1'].address}:8443"
        self.certificate = (state / "certs" / "ca.crt").read_bytes()

    def environment(self, service: str = "migrate") -> dict[str, str]:
        """The environment of a service's process."""
        own = {name: value for name, value in os.environ.items() if "VOLTPAY" not in name}
        return own | dict(self.cluster.instances[f"{service}-1"].environment)

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """`voltpay WORDS` as the owner of the schema, with more in its environment."""
        return subprocess.run(
            [sys.executable, "-m", "voltpay", *words],
            env=self.environment() | more,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.state,
        )

    def settings(self) -> Settings:
        """Those of the schema's owner."""
        with pytest.MonkeyPatch.context() as patched:
            for name, value in self.environment().items():
                patched.setenv(name, value)
            return read_settings()

    def _waiting_in(self, settings: Settings) -> int | str:
        """How much waits, or why that cannot be told: brokers may just be coming back."""
        try:
            return waiting_in(settings)
        except Unavailable as error:
            return str(error)

    def reconciled(self, drain_s: float = 600, timeout_s: float = 120) -> str:
        """What reconcile says once all adds up. To read all of it is work: first it drains."""
        settings = self.settings()
        end = time.monotonic() + drain_s
        while waiting := self._waiting_in(settings):
            assert time.monotonic() < end, f"still waits: {waiting}"
            time.sleep(2)
        end = time.monotonic() + timeout_s
        while True:
            done = self.run("reconcile", "--history", str(self.asked))
            if done.returncode == 0:
                return done.stdout
            assert time.monotonic() < end, done.stdout[-6_000:] + done.stderr
            time.sleep(1)

    def release_of(self, name: str) -> str:
        """The version of the code that an instance runs."""
        with urllib.request.urlopen(f"{self._url_of(name)}/schema", timeout=5) as told:
            return str(json.load(told)["info"]["version"])

    def _url_of(self, name: str) -> str:
        instance = self.cluster.instances[name]
        role = role_named(instance.service)
        assert role is not None
        return f"http://{instance.address}:{role.port}"

    def roll(self, code: str, version: str) -> None:
        """Replace every role's processes one by one, each once the one before it is ready."""
        for role in ROLES:
            for number in (1, 2):
                name = f"{role}-{number}"
                self.cluster.replace(name, {"PYTHONPATH": code})
                until(functools.partial(self.is_ready, name), 60, f"{name} of {version}")
                assert self.release_of(name) == version
                time.sleep(ROLL_PAUSE_S)

    def is_ready(self, name: str) -> bool:
        """Whether an instance says that it can be sent requests."""
        with urllib.request.urlopen(f"{self._url_of(name)}/readyz", timeout=5) as told:
            return told.status == 200

    def leader(self) -> str:
        """The instance of a broker that leads partitions."""
        servers = self.environment()["VOLTPAY_LOG_URL"].removeprefix("kafka://")
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        topic = admin.list_topics(timeout=10).topics["payment.accepted"]
        return f"kafka-{topic.partitions[0].leader}-1"

    @contextlib.contextmanager
    def load(self, rate_per_s: float, seed: int) -> Iterator[Load]:
        """Payments through the gateway for as long as the block lasts."""
        with History(self.asked) as noted:
            sent = Load(
                self.url,
                rate_per_s=rate_per_s,
                seed=seed,
                history=noted,
                certificate=self.certificate,
            )
            thread = threading.Thread(target=lambda: asyncio.run(sent.run(3_600)))
            thread.start()
            try:
                yield sent
            finally:
                sent.end()
                thread.join()

    @contextlib.contextmanager
    def member(self, role: str, port: int) -> Iterator[None]:
        """One more process of a role, which leaves at the end of the block."""
        with (self.state / f"{role}-{port}.out").open("ab") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "voltpay", "run", role),
                    *("--host", "127.0.0.1", "--port", str(port)),
                ],
                env=self.environment(role),
                stdout=output,
                stderr=output,
                cwd=self.state,
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


@contextlib.contextmanager
def running(profile: str) -> Iterator[Wide]:
    """A cluster of a profile, ready."""
    if brokers.jars() is None:
        pytest.skip(brokers.HOW_TO_GET)
    haproxy()
    state = Path(tempfile.mkdtemp(prefix="vp-cluster-"))
    try:
        with opened(profile, state, dict(os.environ) | GENEROUS, NETWORK) as cluster:
            gateway = cluster.instances["gateway-1"].address
            until(lambda: serves(gateway), 240, "the gateway")
            wide = Wide(cluster, state)
            for name in (f"{role}-{number}" for role in ROLES for number in (1, 2)):
                until(functools.partial(wide.is_ready, name), 60, name)
            yield wide
    finally:
        shutil.rmtree(state, ignore_errors=True)
