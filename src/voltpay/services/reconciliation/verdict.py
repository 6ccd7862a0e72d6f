"""The verdict: what was counted, and what does not add up."""

from collections.abc import Mapping

from msgspec import Struct

from voltpay.services.reconciliation.evidence import Difference


class Verdict(Struct, frozen=True):
    """What was found: counts by name, and all differences. It holds if there are none."""

    counts: Mapping[str, int]
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        """Whether everything adds up."""
        return not self.differences


def agreed(first: Verdict, second: Verdict) -> Verdict:
    """The second look, less what only it has: that was between two stores, or is new."""
    known = {(each.what, each.who) for each in first.differences}
    both = tuple(each for each in second.differences if (each.what, each.who) in known)
    return Verdict(second.counts, both)
