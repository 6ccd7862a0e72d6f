"""Courtesy: a word between processes, and what is much longer than usual."""

import subprocess
import sys
from pathlib import Path

from tests.ingest.desk import SetClock

from voltpay.foundation.runtime.courtesy import Courtesy, Usual

ASK = """
import sys
from pathlib import Path
from voltpay.foundation.runtime.courtesy import Courtesy
from voltpay.foundation.seams.clock import SystemClock
Courtesy(SystemClock(), Path(sys.argv[1])).ask()
"""


def test_another_process_hears_it(tmp_path: Path) -> None:
    file = tmp_path / "courtesy"
    mine = Courtesy(SetClock(), file)
    before = mine.asked_ms
    subprocess.run([sys.executable, "-c", ASK, str(file)], check=True)
    assert mine.asked_ms > before


def test_without_a_file_only_this_process_hears_it() -> None:
    clock = SetClock()
    one, other = Courtesy(clock), Courtesy(clock)
    one.ask()
    assert one.asked_ms == clock.at_ms
    assert other.asked_ms == 0


def test_what_stands_in_the_file_from_before_is_kept(tmp_path: Path) -> None:
    clock = SetClock()
    Courtesy(clock, tmp_path / "courtesy").ask()
    assert Courtesy(clock, tmp_path / "courtesy").asked_ms == clock.at_ms


def test_much_longer_than_usual() -> None:
    usual = Usual(SetClock())
    assert not usual.is_exceeded(40, by_ms=3)
    assert not usual.is_exceeded(2, by_ms=3)
    assert not usual.is_exceeded(7, by_ms=3)
    assert usual.is_exceeded(8, by_ms=3)


def test_what_takes_long_for_long_becomes_usual() -> None:
    clock = SetClock()
    usual = Usual(clock)
    usual.is_exceeded(2, by_ms=3)
    for _ in range(600):
        clock.at_ms += 1_000
        usual.is_exceeded(40, by_ms=3)
    assert not usual.is_exceeded(80, by_ms=3)
    clock.at_ms += 10**12
    assert not usual.is_exceeded(80, by_ms=3)
