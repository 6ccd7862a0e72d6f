"""What figures should be: floors that must be met, goals to get to, units, and the bare loop's."""

from collections.abc import Mapping
from typing import Final

from voltpay.cli.bench.figures import Wanted

ON_KAFKA: Final = "on Kafka: "
"""Before the names of figures of an installation whose log is there."""
_HALF: Final = Wanted(0.5, 0.7, is_ratio=True)
_CACHED: Final = Wanted(10_000, 12_000)
_SUMMARY: Final = Wanted(10, 5, is_most=True)
_FRESH: Final = Wanted(250, 100, is_most=True)

WANTED: Final[Mapping[str, Wanted]] = {
    "accept, 32 clients": Wanted(0.7, 0.9, is_ratio=True),
    "accept, 256 clients": Wanted(0.7, 0.9, is_ratio=True),
    "accept at 2,000/s, p50": Wanted(5, 1.5, is_most=True),
    "accept at 2,000/s, p99": Wanted(5, 3, is_most=True),
    "whole, to posted": _HALF,
    "whole, to read model": _HALF,
    "fresh at 1,000/s: completed, p99": _FRESH,
    "fresh at 1,000/s: posted, p99": _FRESH,
    "fresh at 1,000/s: balance, p99": _FRESH,
    "fresh at 1,000/s: summary, p99": _FRESH,
    "drain": _HALF,
    "ledger, batches of 1,000": Wanted(0.6, 0.8, is_ratio=True),
    "status, cached": _CACHED,
    "balance, cached": _CACHED,
    "transactions, cached": _CACHED,
    "summary of a minute, p99": _SUMMARY,
    "summary of a day, p99": _SUMMARY,
    "summary of all, p99": _SUMMARY,
    "summary of odd edges, p99": _SUMMARY,
    "choices, explained": Wanted(50_000, 100_000),
    "challenge, p99": Wanted(11, 5, is_most=True),
    "challenge, completed": Wanted(95, 100),
    "challenge, differences": Wanted(0, 0, is_most=True),
    "memory, idle": Wanted(400, 350, is_most=True),
    "memory, at 1,000/s": Wanted(400, 350, is_most=True),
    "start, cold": Wanted(10, 6, is_most=True),
    "start, warm": Wanted(5, 3, is_most=True),
}
"""By figure."""

BARE: Final[Mapping[str, str]] = {
    "accept, 32 clients": "accept_32",
    "accept, 256 clients": "accept_256",
    "accept at 2,000/s, p50": "quiet_p50",
    "accept at 2,000/s, p99": "quiet_p99",
    "accept at 2,000/s, all at work, p50": "busy_p50",
    "accept at 2,000/s, all at work, p99": "busy_p99",
    "whole, to posted": "whole",
    "whole, to read model": "whole",
    "drain": "drain",
    "ledger, batches of 1,000": "ledger",
}
"""Figures that the bare loop has, too, and what it calls them."""

_UNITS: Final = {
    "CPU of": "µs",
    "accept at": "ms",
    "fresh at": "ms",
    "summary of": "ms",
    "challenge, p99": "ms",
    "challenge, completed": "%",
    "challenge, differences": "",
    "memory, growth": "MiB a minute",
    "memory": "MiB",
    "start": "s",
    "outage": "s",
}


def unit_of(name: str) -> str:
    """The unit of a figure; most are so many a second."""
    bare = name.removeprefix(ON_KAFKA)
    if bare.startswith("by "):
        return {"accept, p99": "ms", "CPU a payment": "µs"}.get(bare.rpartition(": ")[2], "/s")
    return next((unit for start, unit in _UNITS.items() if bare.startswith(start)), "/s")
