"""All lanes of this process: what they offer, and how many payments they want held.

Lanes are in the order of their fees.
"""

from collections.abc import Sequence

from voltpay.foundation.seams.clock import Clock
from voltpay.services.routing.choose import Gate, Need, Offer, Verdict, expected_ms, verdict_on
from voltpay.services.routing.lane import Lane


class Lanes:
    """All lanes of this process, in the order of their fees."""

    def __init__(self, lanes: Sequence[Lane], clock: Clock, slow_ms: int) -> None:
        self.all = sorted(lanes, key=lambda lane: (lane.fee, lane.name))
        self.by_name = {lane.name: lane for lane in self.all}
        self.currencies = frozenset().union(*(lane.currencies for lane in self.all))
        self._clock = clock
        self._slow_ms = slow_ms
        self._needs = [Need(currency) for currency in sorted(self.currencies)]

    @property
    def told(self) -> int:
        """Grows with everything that any lane was told."""
        return sum([lane.told for lane in self.all])

    def offers(self) -> list[Offer]:
        """What every processor offers now, in the order of their fees."""
        return [lane.offer() for lane in self.all]

    def room(self) -> int:
        """How many payments this process should hold in all.

        The soft limits of the lanes that choice would prefer now, what they may hold ahead, and
        one for each that is due to be tried; what other lanes still hold does not keep a healthy
        one waiting.
        """
        offers = self.offers()
        preferred: set[str] = set()
        tries = 0
        for need in self._needs:
            names, due = _preferred(offers, need, self._slow_ms)
            preferred |= names
            tries += due
        return tries + sum(
            offer.limit + offer.ahead if offer.name in preferred else offer.in_flight
            for offer in offers
        )


def _preferred(offers: Sequence[Offer], need: Need, slow_ms: int) -> tuple[set[str], int]:
    tries = 0
    slow: list[Offer] = []
    for offer in offers:
        verdict = verdict_on(offer, need, slow_ms, full=False)
        usable = verdict in {Verdict.CHOSEN, Verdict.SLOW}
        if usable and offer.gate is Gate.DUE:
            tries += verdict is Verdict.CHOSEN or not slow
        elif verdict is Verdict.CHOSEN:
            return {offer.name}, tries
        elif verdict is Verdict.SLOW:
            slow.append(offer)
    return ({min(slow, key=expected_ms).name} if slow else set()), tries
