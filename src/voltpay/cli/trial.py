"""A whole Voltpay of its own, in a folder and on free ports: for the demo and the benchmark."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from rich.console import Console

from voltpay.cli.ports import free_ports
from voltpay.core.errors import Misconfigured

__all__ = ["free_ports", "started"]

NOTHING_MORE: Final[Mapping[str, str]] = {}
_START_S: Final = 60.0
_STOP_S: Final = 25.0


@contextlib.contextmanager
def started(
    folder: Path,
    ports: list[int],
    console: Console,
    environment: Mapping[str, str] = NOTHING_MORE,
) -> Iterator[subprocess.Popen[bytes]]:
    """A `voltpay up` of its own, with more in its environment; stopped by SIGTERM afterwards."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(
            f"the folder {folder} cannot be made ({error.strerror})", "choose another with --data"
        ) from error
    output = folder / "up.out"
    command = [sys.executable, "-m", "voltpay", "up", "--data", str(folder)]
    command += ["--port", str(ports[0]), "--sandbox-ports", f"{ports[1]},{ports[2]}"]
    process = _spawned(command, output, environment)
    try:
        with console.status("starting PostgreSQL, Valkey and the roles"):
            _await_up(process, output)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _spawned(
    command: Sequence[str], output: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with output.open("wb") as out:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **environment},
        )


def _await_up(process: subprocess.Popen[bytes], output: Path) -> None:
    end = monotonic() + _START_S
    while b"Voltpay is up" not in output.read_bytes():
        if process.poll() is not None or monotonic() > end:
            said = output.read_text(errors="replace").strip().splitlines()
            raise Misconfigured("voltpay up did not start", said[-1] if said else "it said nothing")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
