"""The machine, and what an installation takes of it: memory, and time to start."""

import asyncio
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Final

from rich.console import Console

from voltpay.cli.bench.crowd import closed
from voltpay.cli.bench.requests import payments
from voltpay.cli.trial import free_ports, started

_MIB: Final = 1024


def described() -> Mapping[str, str]:
    """What it is measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
    }


def memory_mib(folder: Path) -> float | None:
    """Proportional set size of every process of an installation; None where it is not told."""
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    supervisor = int((folder / "supervisor.pid").read_text().split()[0])
    total = sum(_pss_kib(pid) for pid in family(supervisor))
    return total / _MIB


def family(pid: int) -> set[int]:
    """A process and all that stem from it."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, more = set[int](), {pid}
    while more:
        found |= more
        more = {child for child, parent in parents.items() if parent in more} - found
    return found


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def starts_s() -> tuple[float, float]:
    """Seconds from `voltpay up` to the first 202: in an empty folder, and in the same again."""
    folder = Path(tempfile.mkdtemp(prefix="voltpay-bench-"))
    try:
        return _start_s(folder), _start_s(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start_s(folder: Path) -> float:
    ports, began = free_ports(3), perf_counter()
    with started(folder, ports, Console(quiet=True)):
        url = f"http://127.0.0.1:{ports[0]}"
        asyncio.run(closed(url, payments(url), clients=1, seconds=0.001))
        return perf_counter() - began
