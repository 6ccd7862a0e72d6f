"""The choice for each payment, made anew when anything told it something new.

Payments that start together find the same offers: they share one choice and its explanation.
"""

from typing import Final

from msgspec import Struct

from voltpay.core.payment import Payment
from voltpay.foundation.seams.clock import Clock
from voltpay.services.routing.choose import Choice, Gate, Need, choose
from voltpay.services.routing.lane import Lane
from voltpay.services.routing.lanes import Lanes

_NEVER: Final = (-1, -1)


class Chosen(Struct, frozen=True, gc=False):
    """A choice, and its explanation as JSON."""

    choice: Choice
    explained: str


class Chooser:
    """Chooses among the lanes' offers. A payment with little patience left is chosen for alone."""

    def __init__(self, lanes: Lanes, clock: Clock, *, patience_ms: int, slow_ms: int) -> None:
        self._lanes = lanes
        self._clock = clock
        self._patience_ms = patience_ms
        self._slow_ms = slow_ms
        self._known: dict[str, Chosen] = {}
        self._known_at = _NEVER

    def __call__(self, payment: Payment, tried: str = "") -> Chosen:
        """The processor for this payment, other than the one that was `tried`; see `choose`."""
        deadline_ms = payment.accepted_at_ms + self._patience_ms
        now_ms = self._clock.now_ms()
        if tried or deadline_ms - now_ms < self._slow_ms:
            return self._made(Need(payment.currency, deadline_ms, tried), now_ms)
        at = (self._clock.monotonic_ms(), self._lanes.told)
        if at != self._known_at:
            self._known_at = at
            self._known.clear()
        known = self._known.get(payment.currency)
        if known is None or not self._still_holds(known.choice):
            known = self._made(Need(payment.currency, deadline_ms), now_ms)
            self._known[payment.currency] = known
        return known

    def _made(self, need: Need, now_ms: int) -> Chosen:
        choice = choose(self._lanes.offers(), need, now_ms, self._slow_ms)
        return Chosen(choice, choice.explained_json())

    def _still_holds(self, choice: Choice) -> bool:
        """Whether the lane has room for one more: a breaker that is due takes just one."""
        offer = choice.offer
        if offer is None or offer.gate is not Gate.CLOSED:
            return False
        lane: Lane = self._lanes.by_name[offer.name]
        return lane.in_flight < offer.limit_max + offer.ahead
