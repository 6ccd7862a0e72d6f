"""Route a payment: choose a processor, write the attempt, charge, write what came of it.

Reads payment.accepted, payment.deferred · Writes payment.settled, payment.deferred · Needs Attempts
Repeat safe: an attempt is known by (payment_id, number), and a payment has one live attempt
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from uuid import UUID

from msgspec import Struct
from prometheus_client import Counter

from voltpay.core.errors import Broken
from voltpay.core.messages import Message, PaymentAccepted, PaymentDeferred
from voltpay.core.payment import Payment
from voltpay.foundation.runtime.failpoints import reach
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.clock import Clock
from voltpay.services.routing.attempts import (
    AttemptRow,
    Attempts,
    AttemptState,
    Opened,
    Opening,
    Standing,
)
from voltpay.services.routing.backoff import RetryBudget
from voltpay.services.routing.charge import (
    Judgement,
    Refused,
    charge_of,
    closing_of,
    concluded,
    post,
)
from voltpay.services.routing.choose import Offer, Verdict
from voltpay.services.routing.chooser import Chooser, Chosen
from voltpay.services.routing.lane import Call, Lane
from voltpay.services.routing.lanes import Lanes
from voltpay.services.routing.repeats import Repeats, may_open_next, put_off, settled_again
from voltpay.services.routing.restraint import Restraint
from voltpay.services.routing.settings import RoutingSettings

_ATTEMPTS = Counter(
    "voltpay_routing_attempts", "Attempts by what they came to", ["processor", "state"]
)
_LOST = Counter("voltpay_routing_attempts_lost", "Attempts that another process took over")
_RETRIES = Counter("voltpay_routing_retries", "Payments sent to another processor at once")


class Unroutable(Broken):
    """No processor takes the payment's currency: for a person, who mends the settings."""


class NotForRouting(Broken):
    """A message that routing does not read."""


class _Slot(Struct, frozen=True):
    """A held slot. The lease of its attempt counts from the choice, before it was written."""

    lane: Lane
    call: Call
    reason: str
    explained: str
    timeout_ms: int
    lease_ms: int
    held_from_ms: int


class Route:
    """The stage. `on_change` is called when `room` may have grown: the loop sets it."""

    def __init__(
        self,
        lanes: Lanes,
        attempts: Attempts,
        repeats: Repeats,
        settings: RoutingSettings,
        clock: Clock,
        restraint: Restraint,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.on_change = on_change
        self.sending: set[UUID] = set()
        self._lanes = lanes
        self._attempts = attempts
        self._repeats = repeats
        self._settings = settings
        self._clock = clock
        self._budget = RetryBudget(settings.retry_share)
        self._chooser = Chooser(
            lanes, clock, patience_ms=settings.patience_ms, slow_ms=settings.lane.slow_ms
        )
        self._restraint = restraint
        self._had_room = True
        for lane in lanes.all:
            lane.on_change = self._changed

    def room(self) -> int:
        """How many payments it may hold in all just now: see Lanes.room and Restraint."""
        room = self._restraint.most(self._lanes.room())
        self._had_room = room > 0
        return room

    async def notice(self) -> None:
        """Call `on_change` if a breaker went due since there was no room. To be called often."""
        if not self._had_room and self.room() > 0:
            self._changed()

    async def __call__(self, one: Taken) -> Sequence[Message]:
        """The payment settled or put off; nothing if its attempt row has the custody of it.

        Raises Unroutable, Unavailable.
        """
        match one.message:
            case PaymentAccepted(payment=payment):
                return await self._route(payment, 0)
            case PaymentDeferred(payment=payment, times=times):
                return await self._route(payment, times)
            case other:
                raise NotForRouting(type(other).__name__)

    async def _route(self, payment: Payment, times: int) -> Sequence[Message]:
        self._restraint.taken(payment.accepted_at_ms)
        chosen = self._chosen(payment)
        choice = chosen.choice
        if choice.offer is None:
            return put_off(payment, choice.reason, times, choice.reason)
        slot = self._entered(chosen, choice.offer)
        try:
            opened = await self._opened(payment, slot)
            if isinstance(opened, Standing):
                return await self._repeats(payment, opened, times)
            self.sending.add(payment.id)
            judgement = await self._judgement(opened, slot)
            if not isinstance(judgement, Refused):
                return await self._conclude(opened, judgement, slot.lane, times)
        finally:
            slot.lane.leave(slot.call)
            self.sending.discard(payment.id)
        return await self._refused(opened, judgement, slot.lane, times)

    async def _refused(
        self, row: AttemptRow, refusal: Refused, lane: Lane, times: int
    ) -> Sequence[Message]:
        """After a definite no to the only POST: one try at another processor, or put off."""
        self.sending.add(row.payment.id)
        try:
            chosen = self._chosen(row.payment, tried=lane.name)
            offer = chosen.choice.offer
            # One that was never sent is no retry: it adds no load.
            if offer is None or (refusal.was_sent and not self._budget.take()):
                return await self._conclude(row, refusal, lane, times)
            _RETRIES.inc(refusal.was_sent)
            slot = self._entered(chosen, offer)
            try:
                return await self._retried(row, refusal, slot, times)
            finally:
                slot.lane.leave(slot.call)
        finally:
            self.sending.discard(row.payment.id)

    async def _retried(
        self, row: AttemptRow, refusal: Refused, slot: _Slot, times: int
    ) -> Sequence[Message]:
        opening = self._opening(row.payment, slot, row.number + 1)
        opening = _instead_of(row, refusal, opening)
        result = await self._attempts.open(opening)
        if isinstance(result, Standing):
            _LOST.inc()
            return ()
        _counter(row.processor, AttemptState.ABSENT).inc()
        opened = _row_of(opening, result, slot.reason)
        judgement = await self._judgement(opened, slot)
        return await self._conclude(opened, judgement, slot.lane, times)

    async def _opened(self, payment: Payment, slot: _Slot) -> AttemptRow | Standing:
        """The attempt, written and held; Standing if the payment needs none now."""
        reach("route.before_attempt")
        opening = self._opening(payment, slot, 1)
        result = await self._attempts.open(opening)
        if isinstance(result, Standing) and may_open_next(payment, result):
            opening = self._opening(payment, slot, result.rows[-1].number + 1)
            result = await self._attempts.open(opening)
        return result if isinstance(result, Standing) else _row_of(opening, result, slot.reason)

    def _opening(self, payment: Payment, slot: _Slot, number: int) -> Opening:
        return Opening(
            payment,
            number,
            slot.lane.name,
            self._clock.now_ms(),
            slot.explained,
            slot.lease_ms,
        )

    async def _judgement(self, row: AttemptRow, slot: _Slot) -> Judgement:
        """Send the POST when it is its turn, if it still may go and its lease covers it."""
        if slot.call.probing:
            # Those before it may hang: it is sent to see whether the processor is back.
            return await self._sent(row, slot)
        turns = slot.lane.turns
        await turns.take()
        try:
            return await self._sent(row, slot)
        finally:
            turns.give_back()

    async def _sent(self, row: AttemptRow, slot: _Slot) -> Judgement:
        if not slot.lane.lets_go(slot.call):
            return Refused("the breaker opened before it was sent", was_sent=False)
        rest_ms = slot.held_from_ms + slot.lease_ms - self._clock.monotonic_ms()
        if rest_ms <= slot.timeout_ms:
            return Refused("the lease ran out before it was sent")
        self._budget.charged()
        reach("route.after_attempt")
        return await post(
            slot.lane,
            slot.call,
            charge_of(row),
            timeout_ms=slot.timeout_ms,
            find_timeout_ms=self._settings.resolve.find_timeout_ms,
        )

    async def _conclude(
        self, row: AttemptRow, judgement: Judgement, lane: Lane, times: int
    ) -> Sequence[Message]:
        """Write what it came to, then say it."""
        done = concluded(row, judgement, lane, self._clock.now_ms())
        absent, unknown = done.state is AttemptState.ABSENT, done.state is AttemptState.UNKNOWN
        settings = self._settings
        after_ms = settings.resolve.ask_first_ms if unknown else settings.sweep.after_ms
        closing = closing_of(done, ask_after_ms=after_ms, posted=absent)
        if not await self._attempts.close(closing):
            _LOST.inc()
            return ()
        _counter(lane.name, done.state).inc()
        reach("route.after_outcome")
        if absent:
            return put_off(done.payment, done.note, times, "refused")
        return settled_again(done)

    def _chosen(self, payment: Payment, tried: str = "") -> Chosen:
        chosen = self._chooser(payment, tried)
        if chosen.choice.reason == Verdict.CURRENCY.value:
            raise Unroutable(f"no processor takes {payment.currency}")
        return chosen

    def _entered(self, chosen: Chosen, offer: Offer) -> _Slot:
        """Hold a slot, for the caller to leave."""
        lane = self._lanes.by_name[offer.name]
        timeout_ms = lane.charge_timeout_ms(offer)
        lease_ms = 2 * timeout_ms + self._settings.lease_ms
        call = lane.enter(give_up_ms=lease_ms)
        reason, from_ms = chosen.choice.reason, call.entered_ms
        return _Slot(lane, call, reason, chosen.explained, timeout_ms, lease_ms, from_ms)

    def _changed(self) -> None:
        self.on_change()


def _row_of(opening: Opening, opened: Opened, reason: str) -> AttemptRow:
    return AttemptRow(
        opening.payment,
        opening.number,
        opening.processor,
        opening.requested_at_ms,
        AttemptState.SENDING,
        opened.turn,
        leased=True,
        asked=0,
        fee_minor=0,
        reason=reason,
        note="",
        settled_at_ms=0,
    )


def _instead_of(row: AttemptRow, refusal: Refused, opening: Opening) -> Opening:
    return Opening(
        opening.payment,
        opening.number,
        opening.processor,
        opening.requested_at_ms,
        opening.explanation,
        opening.lease_ms,
        former_turn=row.turn,
        former_note=refusal.why,
    )


@lru_cache(maxsize=1_024)
def _counter(processor: str, state: AttemptState) -> Counter:
    return _ATTEMPTS.labels(processor, state.value)
