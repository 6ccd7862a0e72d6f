"""The supervisor with real processes: deaths, drains, orphans, refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voltpay.foundation.runtime.supervisor import BACKOFF_MAX_MS, BACKOFF_MIN_MS, backoff_ms

SCRIPT = Path(__file__).with_name("house_of_roles.py")
PATIENCE_S = 20.0


class House:
    """A supervisor in a process of its own, and what its roles noted down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stderr = folder / "stderr"
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, *roles: str, drain_s: float = 15, strategy: str = "fork") -> None:
        with self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, SCRIPT, self._folder, strategy, str(drain_s), *roles],
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def code(self) -> int:
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def said(self) -> str:
        return self._stderr.read_text()

    def logged(self) -> list[dict[str, object]]:
        lines = (self._folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def events(self) -> list[tuple[str, str, int]]:
        path = self._folder / "events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(name, word, int(pid)) for name, word, pid in map(str.split, lines)]

    def happened(self, name: str, word: str) -> int:
        return sum(1 for event in self.events() if event[:2] == (name, word))

    def pids_of(self, name: str) -> list[int]:
        return [pid for who, word, pid in self.events() if (who, word) == (name, "started")]

    def await_ready(self, *names: str, times: int = 1) -> None:
        until(lambda: all(self.happened(name, "ready") >= times for name in names))

    def fail_tick(self) -> None:
        (self._folder / "fail").touch()

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._end_orphans()

    def _end_orphans(self) -> None:
        """A test that failed may leave roles: end those that noted themselves down here."""
        started = {(name, pid) for name, word, pid in self.events() if word == "started"}
        for name, pid in started:
            if is_alive(pid) and title_of(pid) == f"voltpay: {name}":
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_role_that_is_killed_is_started_again_and_the_others_live_on(house: House) -> None:
    house.open("api=plain", "ledger=plain")
    house.await_ready("api", "ledger")
    os.kill(house.pids_of("ledger")[0], signal.SIGKILL)
    house.await_ready("ledger", times=2)
    assert len(set(house.pids_of("ledger"))) == 2
    assert len(house.pids_of("api")) == 1
    assert is_alive(house.pids_of("api")[0])


@pytest.mark.parametrize("strategy", ["fork", "spawn"])
def test_roles_end_when_their_supervisor_is_killed(house: House, strategy: str) -> None:
    house.open("api=plain", "ledger=slow", "stuck=stuck", strategy=strategy)
    house.await_ready("api", "ledger", "stuck")
    pids = [house.pids_of(name)[0] for name in ("api", "ledger", "stuck")]
    house.signal(signal.SIGKILL)
    until(lambda: not any(map(is_alive, pids)))
    assert house.happened("api", "stopped") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_roles_are_drained_one_after_the_other(house: House, number: signal.Signals) -> None:
    house.open("api=unhurried", "routing=unhurried", "ledger=unhurried")
    house.await_ready("api", "routing", "ledger")
    house.signal(number)
    assert house.code() == 0
    ends = [(name, word) for name, word, _ in house.events() if word.startswith("stop")]
    assert ends == [
        (name, word) for name in ("api", "routing", "ledger") for word in ("stopping", "stopped")
    ]


def test_a_role_that_ignores_the_request_is_killed_at_the_end(house: House) -> None:
    house.open("deaf=deaf", "ledger=plain", drain_s=3)
    until(lambda: house.happened("deaf", "started") == 1)
    house.await_ready("ledger")
    house.signal(signal.SIGTERM)
    assert house.code() == 0
    assert not is_alive(house.pids_of("deaf")[0])
    assert house.happened("ledger", "stopped") == 1
    killed = [line["name"] for line in house.logged() if line["event"] == "supervisor.role_killed"]
    assert killed == ["deaf"]


def test_a_second_request_shortens_the_drain(house: House) -> None:
    house.open("slow=slow", "ledger=plain", drain_s=600)
    house.await_ready("slow", "ledger")
    house.signal(signal.SIGINT)
    until(lambda: house.happened("slow", "stopping") == 1)
    assert house.happened("ledger", "stopping") == 0
    house.signal(signal.SIGINT)
    assert house.code() == 0
    assert house.happened("ledger", "stopped") == 1


@pytest.mark.parametrize("kind", ["misconfigured", "misconfigured-in-group"])
@pytest.mark.parametrize("strategy", ["fork", "spawn"])
def test_a_misconfigured_role_stops_the_house_in_one_line(
    house: House, kind: str, strategy: str
) -> None:
    house.open("ledger=plain", f"api={kind}", strategy=strategy)
    assert house.code() == 2
    assert house.said() == "voltpay: port 9 is taken: choose another\n"
    assert not any(map(is_alive, house.pids_of("ledger")))


def test_a_role_that_was_ready_before_is_started_again_whatever_it_says(house: House) -> None:
    house.open("api=misconfigured-later")
    house.await_ready("api", times=2)
    house.signal(signal.SIGTERM)
    assert house.code() == 0


def test_a_role_whose_needs_are_away_is_tried_again(house: House) -> None:
    house.open("ledger=away")
    house.await_ready("ledger")
    house.signal(signal.SIGTERM)
    assert house.code() == 0
    assert any(line["event"] == "role.unavailable" for line in house.logged())
    assert house.said() == ""


def test_a_failing_tick_drains_the_house_and_is_raised(house: House) -> None:
    house.open("ledger=plain")
    house.await_ready("ledger")
    house.fail_tick()
    assert house.code() == 1
    assert "an engine is gone" in house.said()
    assert house.happened("ledger", "stopped") == 1


@pytest.mark.parametrize("strategy", ["fork", "spawn"])
def test_a_role_is_told_apart_in_the_process_list(house: House, strategy: str) -> None:
    house.open("ledger=plain", strategy=strategy)
    house.await_ready("ledger")
    assert title_of(house.pids_of("ledger")[0]) == "voltpay: ledger"
    assert title_of(house.pid) == "voltpay: supervisor"


def test_a_role_is_out_of_reach_of_the_terminal(house: House) -> None:
    house.open("ledger=plain")
    house.await_ready("ledger")
    ledger = house.pids_of("ledger")[0]
    assert os.getpgid(ledger) != os.getpgid(house.pid)
    os.kill(ledger, signal.SIGINT)
    os.killpg(os.getpgid(house.pid), signal.SIGINT)
    assert house.code() == 0
    assert house.happened("ledger", "stopped") == 1


@pytest.mark.parametrize("strategy", ["fork", "spawn"])
def test_a_role_holds_nothing_of_its_parent(house: House, strategy: str) -> None:
    house.open("first=plain", "ledger=leaky", strategy=strategy)
    house.await_ready("ledger")
    (held,) = [word for _, word, _ in house.events() if word.startswith("holds:")]
    assert held == "holds:/dev/null,socket"


def title_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def test_the_wait_before_a_restart_doubles_up_to_a_bound() -> None:
    waits = [backoff_ms(deaths) for deaths in range(1, 200)]
    assert waits[:4] == [BACKOFF_MIN_MS, 200, 400, 800]
    assert waits == sorted(waits)
    assert waits[-1] == BACKOFF_MAX_MS
