"""A lane a processor: bounded adaptive concurrency, its breaker, and how fast it answers.

It holds more payments than it charges at once: those ahead are written, and wait for their turn.
Concurrency follows additive increase and multiplicative decrease: one more for each limit's worth
of good answers while the lane is used, a factor less on timeouts, 5xx, 429 and slow answers.
"""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, auto
from typing import Final

from msgspec import Struct
from prometheus_client import Gauge

from voltpay.foundation.runtime.overdue import Overdue
from voltpay.foundation.runtime.turns import Turns
from voltpay.foundation.seams.clock import Clock
from voltpay.processors.seam import Processor
from voltpay.processors.settings import ProcessorSettings
from voltpay.services.routing import breaker as breakers
from voltpay.services.routing.breaker import Breaker, State
from voltpay.services.routing.choose import Gate, Offer, expected_ms
from voltpay.services.routing.pace import Latency, Limit, ahead, measured
from voltpay.services.routing.settings import RoutingSettings

_HEALTH_CALLS: Final = 1
_NEW_FIRST_MS: Final = 1_000
_BREAKER_STATE = Gauge(
    "voltpay_routing_breaker_state", "0 closed, 1 half-open, 2 open", ["processor"]
)
_LIMIT = Gauge("voltpay_routing_lane_limit", "Calls that the lane may hold", ["processor"])
_IN_FLIGHT = Gauge("voltpay_routing_lane_in_flight", "Calls that the lane holds", ["processor"])
_LEVELS: Final = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class Signal(Enum):
    """What an answer tells about its processor."""

    GOOD = auto()
    FAILED = auto()
    BUSY = auto()


class Call:
    """A slot of a lane that is held, and the POST that it carries, if one was sent."""

    __slots__ = ("ended", "entered_ms", "posted_ms", "probing", "signal")

    def __init__(self, entered_ms: int, *, probing: bool) -> None:
        self.entered_ms = entered_ms
        self.probing = probing
        self.posted_ms = -1
        self.ended = False
        self.signal: Signal | None = None


class HealthSeen(Struct, frozen=True):
    """The processor's own words, and when they were heard (monotonic)."""

    failing: bool
    min_response_ms: int
    heard_ms: int


class Lane:
    """One processor's lane in this process.

    `on_change` is called when it may take more than before: its breaker closed.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        processor: Processor,
        rules: RoutingSettings,
        clock: Clock,
        calls_max: int,
    ) -> None:
        self.settings = settings
        self.processor = processor
        self.name = processor.name
        self.fee: Decimal = settings.fee
        self.currencies = processor.currencies
        self.resolve_max = max(1, min(rules.resolve.calls_max, calls_max // 4))
        self.limit_max = max(1, calls_max - self.resolve_max - _HEALTH_CALLS)
        self.in_flight = 0
        self.charging = 0
        self.told = 0
        self.turns = Turns(lambda: self.limit)
        self.overdue = Overdue()
        self._charges = 0
        self.breaker = Breaker()
        self.latency = Latency()
        self.on_change: Callable[[], None] = _nothing
        self._health: HealthSeen | None = None
        self._rules = rules
        self._limit = Limit(rules.lane.limit_start, rules.lane.limit_min, self.limit_max)
        self._running: deque[Call] = deque()
        self._clock = clock

    @property
    def limit(self) -> int:
        """The soft limit: how many calls it should hold now."""
        return int(self._limit.value)

    def charge_timeout_ms(self, offer: Offer) -> int:
        """Twice the latency that its offer expects, within the bounds of the settings."""
        wanted_ms = max(self._rules.lane.charge_timeout_min_ms, 2 * expected_ms(offer))
        return min(wanted_ms, self.settings.charge_timeout_ms)

    def offer(self) -> Offer:
        """What it offers a payment now."""
        now_ms = self._clock.monotonic_ms()
        health = self._health_at(now_ms)
        quick, sluggish = self._latency_at(now_ms)
        return Offer(
            self.name,
            self.fee,
            self.currencies,
            self._gate(now_ms),
            health.failing if health else False,
            now_ms - health.heard_ms if health else -1,
            health.min_response_ms if health else 0,
            int(quick),
            int(quick - sluggish),
            self._oldest_ms(now_ms),
            self.in_flight,
            self.limit,
            self.limit_max,
            ahead(self.limit, quick, self._rules.lane.ahead_ms) if self.is_closed else 0,
        )

    @property
    def is_closed(self) -> bool:
        """Whether its breaker lets all payments through."""
        return self.breaker.state is State.CLOSED

    def lets_go(self, call: Call) -> bool:
        """Whether a call that waited may still be sent: its breaker may have opened meanwhile."""
        return self.is_closed or call.probing

    def enter(self, *, give_up_ms: int) -> Call:
        """Hold a slot. A breaker that is due becomes half-open: this call is the one it lets."""
        now_ms = self._clock.monotonic_ms()
        probing = breakers.is_due(self.breaker, now_ms)
        if probing:
            self._set(breakers.half_opened(self.breaker, now_ms, give_up_ms))
        self.in_flight += 1
        return Call(now_ms, probing=probing)

    def posting(self, call: Call) -> None:
        """The bytes go out now."""
        call.posted_ms = self._clock.monotonic_ms()
        self._charges += 1
        self.charging += 1
        self._running.append(call)

    def answered(self, call: Call, signal: Signal) -> int:
        """What the POST told; gives its latency in milliseconds."""
        now_ms = self._clock.monotonic_ms()
        self.told += 1
        call.ended, call.signal = True, signal
        took_ms = now_ms - call.posted_ms
        if signal is Signal.GOOD:
            self._forget_overtaken(call)
        self._drop_ended()
        self._learn(call, signal, took_ms, now_ms)
        self._adapt(call, signal, took_ms, now_ms)
        self.charging -= 1
        return took_ms

    def leave(self, call: Call) -> None:
        """Give the slot back, whatever became of the call."""
        self.in_flight -= 1
        if not call.ended:
            self.charging -= call.posted_ms >= 0
            call.ended = True
            self._drop_ended()
        if call.signal in {None, Signal.BUSY}:
            pause_ms = self._rules.breaker.pause_ms if call.signal else 0
            due_ms = self._clock.monotonic_ms() + pause_ms
            self._set(breakers.abandoned(self.breaker, due_ms, probing=call.probing))

    def lets_repeat(self) -> bool:
        """Whether a charge may be repeated: when closed, or when no new payment came to try it."""
        if self.is_closed:
            return True
        return breakers.is_due(self.breaker, self._clock.monotonic_ms() - _NEW_FIRST_MS)

    def heard(self, health: HealthSeen | None) -> None:
        """Take over what the shared table knows of its health."""
        self.told += 1
        self._health = health

    def take_charges(self) -> int:
        """How many charges were sent since this was asked last."""
        charges, self._charges = self._charges, 0
        return charges

    def export(self) -> None:
        """Set the gauges."""
        _BREAKER_STATE.labels(self.name).set(_LEVELS[self.breaker.state])
        _LIMIT.labels(self.name).set(self.limit)
        _IN_FLIGHT.labels(self.name).set(self.in_flight)

    def _learn(self, call: Call, signal: Signal, took_ms: int, now_ms: int) -> None:
        rules, probing = self._rules.breaker, call.probing
        if signal is Signal.GOOD:
            self._set(breakers.succeeded(self.breaker, rules, now_ms, probing=probing))
        elif signal is Signal.FAILED:
            self._set(breakers.failed(self.breaker, rules, now_ms, probing=probing))
        # A quick refusal says nothing about how long a charge takes; a timeout says "at least".
        if signal is Signal.GOOD or took_ms > self.latency.quick_ms:
            fresh_ms = self._rules.lane.latency_fresh_ms
            self.latency = measured(self.latency, took_ms, now_ms, fresh_ms)

    def _adapt(self, call: Call, signal: Signal, took_ms: int, now_ms: int) -> None:
        if signal is Signal.GOOD and took_ms <= self._rules.lane.slow_ms:
            if 2 * self.charging >= self._limit.value:
                self._limit.grow()
        else:
            self._limit.shrink(call.posted_ms, now_ms)

    def _set(self, after: Breaker) -> None:
        before, self.breaker = self.breaker, after
        self.told += before.state is not after.state
        if before.state is after.state:
            return
        if after.state is State.CLOSED:
            self.on_change()
        else:
            # They will not be sent: each goes elsewhere at once, not when a call before it ends.
            self.turns.let_all_pass()

    def _gate(self, now_ms: int) -> Gate:
        if self.is_closed:
            return Gate.CLOSED
        return Gate.DUE if breakers.is_due(self.breaker, now_ms) else Gate.OPEN

    def _health_at(self, now_ms: int) -> HealthSeen | None:
        health = self._health
        if health and now_ms - health.heard_ms <= self._rules.lane.health_fresh_ms:
            return health
        return None

    def _latency_at(self, now_ms: int) -> tuple[float, float]:
        latency = self.latency
        if latency.at_ms < 0 or now_ms - latency.at_ms > self._rules.lane.latency_fresh_ms:
            return 0.0, 0.0
        return latency.quick_ms, latency.sluggish_ms

    def _oldest_ms(self, now_ms: int) -> int:
        return now_ms - self._running[0].posted_ms if self._running else 0

    def _forget_overtaken(self, call: Call) -> None:
        # One call that hangs while later ones are answered is no slowdown of the processor.
        while self._running and self._running[0].posted_ms <= call.posted_ms:
            self._running.popleft()

    def _drop_ended(self) -> None:
        while self._running and self._running[0].ended:
            self._running.popleft()


def _nothing() -> None:
    return
