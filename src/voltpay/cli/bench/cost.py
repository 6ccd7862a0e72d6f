"""What payments cost: CPU of every process of an installation and its engines, by what it is."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from voltpay.cli.bench.machine import family

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_MICROS: Final = 1_000_000
_USER, _SYSTEM = 11, 12
"""Of /proc/PID/stat, behind the name."""
_ROLE: Final = "voltpay: "
_KAFKA: Final = b"kafka.Kafka"
_VALKEYS: Final = {"voltpay:log ": "Valkey: log, claims", "voltpay:cache ": "Valkey: cache"}
"""How an embedded one calls itself."""


def cpu_s() -> Mapping[str, float] | None:
    """CPU seconds so far, by role and engine; None where the system does not tell.

    Of the children of this process, and of brokers of Kafka on this machine, whoever started them.
    """
    if not Path("/proc/self/stat").exists():
        return None
    spent: defaultdict[str, float] = defaultdict(float)
    for pid in (family(os.getpid()) - {os.getpid()}) | set(_brokers()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent[kind_of(command)] += (int(told[_USER]) + int(told[_SYSTEM])) / _TICKS_PER_S
    return spent


def micros_each(
    before: Mapping[str, float] | None, after: Mapping[str, float] | None, count: int
) -> Mapping[str, float]:
    """Microseconds of CPU a payment between two looks, by role and engine, the most first."""
    if before is None or after is None:
        return {}
    spent = {kind: _MICROS * (after[kind] - before.get(kind, 0)) / count for kind in after}
    return dict(sorted(spent.items(), key=lambda each: -each[1]))


def _brokers() -> Iterator[int]:
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if _KAFKA in command.read_bytes():
                yield int(command.parent.name)
        except OSError:
            continue


def kind_of(command: bytes) -> str:
    """What a process is, by its command line."""
    words = command.replace(b"\0", b" ").decode(errors="replace").strip()
    for engine, name in _VALKEYS.items():
        if words.startswith(engine):
            return name
    if words.startswith(_ROLE):
        name = words.removeprefix(_ROLE)
        return "sandbox processors" if name.startswith("sandbox") else name
    if words.startswith("postgres") or "/postgres " in f"{words} ":
        return "PostgreSQL"
    return "Kafka" if _KAFKA.decode() in words else "other"
