"""Failpoints: named places at which a process dies, so that a test may choose the worst moment.

Off, and one comparison each, unless `VOLTPAY_TEST_FAILPOINTS` names a folder. Then a process that
comes by a point takes the file of that name, if there is one, renames it to `NAME.fired` and ends
itself by SIGKILL; a file that says `stop` stops it by SIGSTOP instead. A file strikes once.
"""

import os
import signal
from pathlib import Path
from typing import Final

VARIABLE: Final = "VOLTPAY_TEST_FAILPOINTS"
STOP: Final = "stop"


class _Armed:
    folder: Path | None = None


def arm() -> None:
    """Look into the folder that the environment names from now on, if it names one."""
    named = os.environ.get(VARIABLE)
    _Armed.folder = Path(named) if named else None


def reach(name: str) -> None:
    """Come by a point."""
    if _Armed.folder is not None:
        _strike(_Armed.folder / name)


def _strike(point: Path) -> None:
    fired = point.with_name(f"{point.name}.fired")
    try:
        point.rename(fired)
    except FileNotFoundError:
        return
    stops = fired.read_text(encoding="utf-8").strip() == STOP
    os.kill(os.getpid(), signal.SIGSTOP if stops else signal.SIGKILL)
