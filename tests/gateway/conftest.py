"""The gateway: HAProxy with the very file that compose mounts, in front of a real Voltpay."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from tests.house.tree import ROOT
from tests.stack import Stack, free_ports

from loopback import names

FILE = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
HOW_TO_GET = "HAProxy was not found: apt-get install haproxy, or brew install haproxy"
RATE_PER_S = 100


def haproxy() -> str:
    """The program; skips where there is none."""
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(HOW_TO_GET)
    return found


class Gateway:
    """The running gateway; `addresses` is what its resolver says of every service."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        program = haproxy()
        self.addresses = ["127.0.0.1"]
        self.port, self.operators, self.metrics, names_port = free_ports(4)
        self.resolver = names.served("127.0.0.1", names_port, lambda _: self.addresses)
        subprocess.run(
            ["/bin/sh", str(ROOT / "tools" / "secrets"), str(folder)], check=True, stdout=-3
        )
        self.certificate = folder / "certs" / "ca.crt"
        backend = stack.ports[0]
        self.environment = os.environ | {
            "DNS": f"127.0.0.1:{names_port}",
            "CERTIFICATE": str(folder / "certs" / "gateway.pem"),
            "HTTPS_BIND": f"127.0.0.1:{self.port}",
            "OPERATORS_BIND": f"127.0.0.1:{self.operators}",
            "METRICS_BIND": f"127.0.0.1:{self.metrics}",
            "RATE_PER_S": str(RATE_PER_S),
            "CONNECTIONS_MAX": "20",
            "BODY_BYTES_MAX": "16384",
            "INGEST": f"ingest:{backend}",
            "INQUIRY": f"inquiry:{backend}",
            "ROUTING": f"routing:{backend}",
            "PROJECTION": f"projection:{backend}",
        }
        self.checked = subprocess.run(
            [program, "-c", "-f", str(FILE)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.output = folder / "haproxy.out"
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [program, "-W", "-db", "-f", str(FILE)],
                env=self.environment,
                stdout=out,
                stderr=out,
            )

    def connect(self, version: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
        """A connection whose certificate was verified."""
        context = ssl.create_default_context(cafile=self.certificate)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        line = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        return context.wrap_socket(line, server_hostname="localhost")

    def exchange(self, raw: bytes, *, wait_s: float = 15.0) -> bytes:
        """Everything that comes back for these bytes until the gateway hangs up."""
        with self.connect() as line:
            line.settimeout(wait_s)
            line.sendall(raw)
            got = b""
            try:
                while part := line.recv(65_536):
                    got += part
            except (TimeoutError, ConnectionError, ssl.SSLError):
                pass
            return got

    def ask(self, method: str, path: str, body: bytes = b"", *headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own: status, and head and body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        answer = self.exchange("\r\n".join([*lines, "", ""]).encode() + body)
        return (int(answer.split(b" ", 2)[1]) if answer else 0), answer

    def figures(self) -> str:
        """The gateway's own metrics."""
        with socket.create_connection(("127.0.0.1", self.metrics), timeout=5) as line:
            line.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: line.recv(65_536), b"")).decode()

    def until_status(self, wanted: int, path: str = "/payments-summary", timeout_s: float = 20):
        """Ask until that status comes."""
        end = time.monotonic() + timeout_s
        while (got := self._status(path)) != wanted:
            assert time.monotonic() < end, f"{got}: {self.output.read_text()}"
            time.sleep(0.1)

    def _status(self, path: str) -> int:
        try:
            return self.ask("GET", path)[0]
        except OSError:
            return 0

    def stop(self) -> None:
        """End it and its resolver."""
        self.process.terminate()
        self.process.wait(10)
        self.resolver.stop()


@pytest.fixture(scope="package")
def behind(tmp_path_factory):
    """The Voltpay that the gateway stands before."""
    haproxy()
    folder = tmp_path_factory.mktemp("gateway")
    folder.chmod(0o711)
    with Stack(folder / "data") as stack:
        yield stack


@pytest.fixture(scope="package")
def running(behind, tmp_path_factory):
    """One gateway for all tests."""
    made = Gateway(tmp_path_factory.mktemp("haproxy"), behind)
    try:
        made.until_status(200)
        yield made
    finally:
        made.stop()


@pytest.fixture
def gateway(running):
    """The gateway, its services reachable."""
    running.addresses = ["127.0.0.1"]
    running.until_status(200)
    # What a test before asked does not count against this one's rate.
    time.sleep(1.1)
    return running
