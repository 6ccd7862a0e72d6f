"""How buckets of four tiers and two slices of single payments cover a window, exactly."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from voltpay.services.inquiry.window import Window

TIER_WIDTHS_MS: Final = {1: 1_000, 2: 60_000, 3: 3_600_000, 4: 86_400_000}
"""Width of a bucket by tier: second, minute, hour, day."""


class Span(Struct, frozen=True):
    """Buckets of one tier that start from `since_ms` (inclusive) to `until_ms` (exclusive).

    Tier 0 stands for single payments: the edges that fill no second.
    """

    tier: int
    since_ms: int
    until_ms: int


def cover(window: Window) -> list[Span]:
    """Spans that touch every millisecond of the window once, and no other; at most nine."""
    first, end = window.since_ms, window.until_ms + 1
    return list(_spans(first, end, 0)) if first < end else []


def _spans(first: int, end: int, tier: int) -> Iterator[Span]:
    """What no coarser tier can take goes to this tier at both ends; the rest is the coarser's."""
    coarser = TIER_WIDTHS_MS.get(tier + 1)
    if coarser is None:
        yield Span(tier, first, end)
        return
    inner_first, inner_end = -(-first // coarser) * coarser, end // coarser * coarser
    if inner_first >= inner_end:
        yield Span(tier, first, end)
        return
    if first < inner_first:
        yield Span(tier, first, inner_first)
    yield from _spans(inner_first, inner_end, tier + 1)
    if inner_end < end:
        yield Span(tier, inner_end, end)
