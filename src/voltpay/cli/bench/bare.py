"""The bare loop beside the product: a program of its own, run once a round."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from voltpay.core.errors import Misconfigured

_TIMEOUT_S: Final = 180.0


class BareFigures(Struct, frozen=True):
    """What the bare loop did in one round, a second each."""

    accept_32: float
    accept_256: float
    drain: float
    whole: float
    ledger: float


def bare_figures(program: Path, seconds: float) -> BareFigures:
    """Run it. Raises Misconfigured when it does not print its figures."""
    ended = subprocess.run(  # noqa: S603
        [sys.executable, str(program), "--seconds", f"{seconds:g}"],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    try:
        return msgspec.json.decode(ended.stdout.splitlines()[-1], type=BareFigures)
    except (IndexError, msgspec.MsgspecError) as error:
        said = ended.stderr.strip().splitlines() or ["it said nothing"]
        raise Misconfigured(f"{program} failed ({said[-1]})", "run it by itself") from error
