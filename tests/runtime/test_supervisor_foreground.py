"""A role without a supervisor, as `voltpay run` has it, and what it logs."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("house_of_roles.py")


class Foreground:
    """One role in a process of its own."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, SCRIPT, folder, "role", "ledger", kind],
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_event(self, event: str) -> None:
        deadline = time.monotonic() + 20
        while event not in self.logged():
            assert time.monotonic() < deadline, f"waited in vain for {event}"
            time.sleep(0.02)

    def logged(self) -> dict[str, dict[str, object]]:
        path = self._folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return {line["event"]: line for line in map(json.loads, lines)}

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        _, said = self._process.communicate(timeout=20)
        return self._process.returncode, said

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def foreground(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Foreground]:
    role = Foreground(tmp_path, request.param)
    yield role
    role.close()


@pytest.mark.parametrize("foreground", ["plain"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_the_role(foreground: Foreground, number: signal.Signals) -> None:
    foreground.await_event("role.ready")
    foreground.signal(number)
    assert foreground.end() == (0, "")
    assert "role.stopped" in foreground.logged()


@pytest.mark.parametrize("foreground", ["slow"], indirect=True)
def test_a_second_signal_cuts_the_drain_off(foreground: Foreground) -> None:
    foreground.await_event("role.ready")
    foreground.signal(signal.SIGINT)
    foreground.await_event("role.stopping")
    foreground.signal(signal.SIGINT)
    code, _ = foreground.end()
    assert code == 1
    assert "role.cut_off" in foreground.logged()


@pytest.mark.parametrize("foreground", ["misconfigured"], indirect=True)
def test_misconfiguration_is_one_line_without_a_traceback(foreground: Foreground) -> None:
    assert foreground.end() == (2, "voltpay: port 9 is taken: choose another\n")


@pytest.mark.parametrize("foreground", ["away"], indirect=True)
def test_what_is_away_at_the_start_is_logged_without_a_traceback(foreground: Foreground) -> None:
    assert foreground.end() == (1, "")
    logged = foreground.logged()["role.unavailable"]
    assert logged["detail"] == "the database is away"
    assert "exception" not in logged


@pytest.mark.parametrize("foreground", ["failing"], indirect=True)
def test_a_failure_is_logged_with_its_traceback(foreground: Foreground) -> None:
    assert foreground.end() == (1, "")
    logged = foreground.logged()["role.failed"]
    assert "RuntimeError: out of order" in str(logged["exception"])
    assert logged["level"] == "error"
    assert logged["role"] == "ledger"
    assert str(logged["timestamp"]).endswith("Z")


@pytest.mark.parametrize("foreground", ["chatty"], indirect=True)
def test_what_a_library_logs_has_the_same_form(foreground: Foreground) -> None:
    foreground.await_event("a library complains")
    foreground.await_event("role.ready")
    logged = foreground.logged()
    assert logged["a library complains"]["role"] == "ledger"
    assert logged["a library complains"]["payment_id"] == "p-1"
    assert "a library chats" not in logged
    assert logged["role.ready"]["payment_id"] == "p-1"
