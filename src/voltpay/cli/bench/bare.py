"""The bare loop beside the product: a program of its own, run once a round."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from voltpay.core.errors import Misconfigured

_TIMEOUT_S: Final = 300.0
_STOP_S: Final = 30.0


class BareFigures(Struct, frozen=True):
    """What the bare loop did in one round: payments a second, and milliseconds of accepting."""

    accept_32: float
    accept_256: float
    quiet_p50: float
    quiet_p99: float
    drain: float
    whole: float
    busy_p50: float
    busy_p99: float
    ledger: float


def bare_figures(program: Path, seconds: float, backlog: int) -> BareFigures:
    """Run it. Raises Misconfigured when it does not print its figures."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, str(program), "--seconds", f"{seconds:g}", "--backlog", str(backlog)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=_TIMEOUT_S)
    except BaseException:
        # Asked to end, it stops its engines; killed, it would leave them running.
        process.terminate()
        process.wait(_STOP_S)
        raise
    try:
        return msgspec.json.decode(out.splitlines()[-1], type=BareFigures)
    except (IndexError, msgspec.MsgspecError) as error:
        said = err.strip().splitlines() or ["it said nothing"]
        raise Misconfigured(f"{program} failed ({said[-1]})", "run it by itself") from error
