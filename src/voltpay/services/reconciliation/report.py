"""The verdict in words: what was counted, what does not add up, and its likely cause."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from voltpay.services.reconciliation.evidence import LIKELY_CAUSE
from voltpay.services.reconciliation.verdict import Verdict

SHOWN_MAX: Final = 50
"""Of each kind."""


def json_of(verdict: Verdict) -> bytes:
    """All of it for a machine: `holds`, `counts`, and `differences` with their likely causes."""
    differences = [
        {
            "what": each.what,
            "who": each.who,
            "detail": each.detail,
            "likelyCause": LIKELY_CAUSE[each.what],
        }
        for each in verdict.differences
    ]
    whole = {"holds": verdict.holds, "counts": verdict.counts, "differences": differences}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def lines_of(verdict: Verdict) -> Iterator[str]:
    """Plain lines for a terminal."""
    for name, count in verdict.counts.items():
        yield f"{name:<28} {count:>10,}"
    if verdict.holds:
        yield ""
        yield "It adds up, id by id: nothing lost or doubled, books sum to zero, journals equal."
        return
    yield ""
    yield f"It does NOT add up: {len(verdict.differences)} differences."
    for what, count in Counter(each.what for each in verdict.differences).items():
        yield f"  {what}: {count}; likely cause: {LIKELY_CAUSE[what]}"
        same = [each for each in verdict.differences if each.what == what]
        for each in same[:SHOWN_MAX]:
            yield f"    {each.what:<18} {each.who}  {each.detail}"
        if count > SHOWN_MAX:
            yield f"    … and {count - SHOWN_MAX} more: --json FILE has all"
