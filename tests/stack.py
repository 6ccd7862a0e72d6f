"""A whole Voltpay for tests: `voltpay up` in a folder of its own, on free ports."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from voltpay.cli.demo.load import Load
from voltpay.cli.trial import free_ports

START_S = 60


class Stack:
    """Start it with `with`; every request goes over real HTTP."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        program: tuple[str, ...] = ("-m", "voltpay"),
    ):
        self.folder = folder
        self.arguments = arguments
        self.program = program
        self.ports = free_ports(3)
        self.url = f"http://127.0.0.1:{self.ports[0]}"
        self.processor_urls = [f"http://127.0.0.1:{port}" for port in self.ports[1:]]
        self.settings = settings or {}
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Start `voltpay up` and wait until it says that it is up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.output = self.folder / "up.out"
        sandbox = ",".join(map(str, self.ports[1:]))
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *self.command("up"),
                    "--port",
                    str(self.ports[0]),
                    "--sandbox-ports",
                    sandbox,
                    *self.arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=self.environment(),
                cwd=self.folder,
            )
        self.await_line("Voltpay is up")

    def stop(self, number=signal.SIGTERM):
        """End it and give its exit code."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.process = None

    def await_line(self, text):
        """Wait until the output has the text."""
        end = time.monotonic() + START_S
        while text not in self.output.read_text():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < end, f"no {text!r} in: {self.output.read_text()}"
            time.sleep(0.05)

    def command(self, name):
        """The command line of `voltpay NAME` on this installation."""
        return [sys.executable, *self.program, name, "--data", str(self.folder)]

    def environment(self):
        """The environment with this stack's settings."""
        return {**os.environ, **self.settings}

    def run(self, *arguments, check=True):
        """Run a command of the command line; gives the finished process."""
        done = subprocess.run(
            [sys.executable, "-m", "voltpay", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment(),
            cwd=self.folder,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def call(self, method, path, body=None, headers=None):
        """(status, headers, decoded JSON or bytes) of one request."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        if data is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, answer.headers, decoded(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.headers, decoded(error.read())

    def pay(self, amount=19.90, **fields):
        """Make a payment that must be accepted; gives its id."""
        payment_id = fields.pop("correlationId", str(uuid.uuid4()))
        body = {"correlationId": payment_id, "amount": amount, **fields}
        status, _, answer = self.call("POST", "/payments", body)
        assert status == 202, answer
        return payment_id

    def until(self, question, timeout_s=20):
        """Ask until the answer is true; gives it."""
        end = time.monotonic() + timeout_s
        while not (answer := question()):
            assert time.monotonic() < end, f"in vain: {question}"
            time.sleep(0.05)
        return answer

    def until_status(self, payment_id, status, timeout_s=20):
        """Wait until a payment has the status and is posted; gives the full view."""

        def view():
            code, _, answer = self.call("GET", f"/payments/{payment_id}")
            is_there = code == 200 and answer["status"] == status and "postedAt" in answer
            return answer if is_there else None

        return self.until(view, timeout_s)

    def configure(self, processor, what, body):
        """Tell a sandbox processor (0 default, 1 fallback) how to behave."""
        request = urllib.request.Request(
            f"{self.processor_urls[processor]}/admin/configurations/{what}",
            json.dumps(body).encode(),
            {"X-Rinha-Token": "123", "Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status in {200, 204}

    def pids(self):
        """Name of each role to its process id, as the supervisor started them last."""
        lines = (self.folder / "voltpay.log").read_text().splitlines()
        events = [json.loads(line) for line in lines if '"supervisor.role_' in line]
        pids = {}
        for event in events:
            if event["event"] == "supervisor.role_started":
                pids[event["name"]] = event["pid"]
            elif pids.get(event["name"]) == event.get("pid"):
                pids.pop(event["name"], None)
        return pids

    def engine_pid(self, name):
        """The process id of an engine: log, cache or postgres."""
        return int((self.folder / name / "server.pid").read_text().split()[0])

    def until_replaced(self, role, pid):
        """Wait until another process than this is the role, and gives its pid."""
        return self.until(lambda: (now := self.pids().get(role)) not in {None, pid} and now)

    def metrics(self, role):
        """The Prometheus text of a role."""
        if role == "api":
            return self.call("GET", "/metrics")[2].decode()
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.folder / "run" / f"{role}.sock"))
            line.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: line.recv(65_536), b"")).decode()

    def metric(self, role, name, **labels):
        """The sum of a role's metric over the series with these labels."""
        total = 0.0
        for line in self.metrics(role).splitlines():
            match = re.fullmatch(rf"{name}(\{{.*\}})? (\S+)", line)
            if match and all(
                f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()
            ):
                total += float(match[2])
        return total

    @contextlib.contextmanager
    def behaving(self, processor, what, body, calm):
        """A processor's behaviour inside, and what calms it afterwards."""
        self.configure(processor, what, body)
        try:
            yield
        finally:
            self.configure(processor, what, calm)


class Traffic:
    """A load in a thread of its own, for as long as the block lasts."""

    def __init__(self, stack, seconds, *, seed, rate_per_s=250, history=None):
        self.load = Load(stack.url, rate_per_s=rate_per_s, seed=seed, history=history)
        self._thread = threading.Thread(target=lambda: asyncio.run(self.load.run(seconds)))

    def __enter__(self):
        self._thread.start()
        return self.load

    def __exit__(self, *_):
        self._thread.join()


def decoded(raw: bytes):
    """JSON where it is JSON."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw
