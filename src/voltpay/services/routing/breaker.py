"""The circuit breaker: a frozen state and pure functions of (state, event, time).

closed → open: failures in a row, or their share in a window · open → half-open: one call, once the
pause is over · half-open → closed or open again, with a longer pause.
"""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from voltpay.services.routing.settings import BreakerSettings


class State(StrEnum):
    """Where a breaker is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker(Struct, frozen=True):
    """A breaker's state. `until_ms`: when an open one is due, or a half-open call given up.

    Calls and failures are counted in the running window and the one before it.
    """

    state: State = State.CLOSED
    in_row: int = 0
    window_from_ms: int = 0
    calls: int = 0
    failures: int = 0
    calls_before: int = 0
    failures_before: int = 0
    openings: int = 0
    until_ms: int = 0


def is_due(breaker: Breaker, now_ms: int) -> bool:
    """Whether one call may pass to see if the processor is back."""
    return breaker.state is not State.CLOSED and now_ms >= breaker.until_ms


def half_opened(breaker: Breaker, now_ms: int, give_up_ms: int) -> Breaker:
    """The one call has been let through; without a word for `give_up_ms` another may follow."""
    return replace(breaker, state=State.HALF_OPEN, until_ms=now_ms + give_up_ms)


def succeeded(breaker: Breaker, rules: BreakerSettings, now_ms: int, *, probing: bool) -> Breaker:
    """A call was answered. Only the one that was let through closes a half-open breaker."""
    if breaker.state is State.CLOSED:
        rolled = _rolled(breaker, rules, now_ms)
        calm = rolled.calls_before + rolled.calls >= rules.calls_min and not (
            rolled.failures or rolled.failures_before
        )
        openings = 0 if calm else rolled.openings
        return replace(rolled, in_row=0, calls=rolled.calls + 1, openings=openings)
    if probing:
        return Breaker(window_from_ms=now_ms, openings=breaker.openings)
    return breaker


def failed(breaker: Breaker, rules: BreakerSettings, now_ms: int, *, probing: bool) -> Breaker:
    """A call timed out or got a 5xx. Calls sent before it opened change nothing any more."""
    if breaker.state is not State.CLOSED:
        return _opened(breaker, rules, now_ms) if probing else breaker
    rolled = _rolled(breaker, rules, now_ms)
    counted = replace(
        rolled, in_row=rolled.in_row + 1, calls=rolled.calls + 1, failures=rolled.failures + 1
    )
    return _opened(counted, rules, now_ms) if _is_too_much(counted, rules) else counted


def abandoned(breaker: Breaker, due_ms: int, *, probing: bool) -> Breaker:
    """A call that was let through told nothing: another one may follow at `due_ms`."""
    if probing and breaker.state is State.HALF_OPEN:
        return replace(breaker, state=State.OPEN, until_ms=due_ms)
    return breaker


def _is_too_much(breaker: Breaker, rules: BreakerSettings) -> bool:
    calls = breaker.calls + breaker.calls_before
    share = (breaker.failures + breaker.failures_before) / calls
    return breaker.in_row >= rules.failures_in_row or (
        calls >= rules.calls_min and share >= rules.failures_share
    )


def _opened(breaker: Breaker, rules: BreakerSettings, now_ms: int) -> Breaker:
    pause_ms = min(rules.pause_max_ms, rules.pause_ms << min(breaker.openings, 20))
    return Breaker(State.OPEN, openings=breaker.openings + 1, until_ms=now_ms + pause_ms)


def _rolled(breaker: Breaker, rules: BreakerSettings, now_ms: int) -> Breaker:
    age_ms = now_ms - breaker.window_from_ms
    if age_ms < rules.window_ms:
        return breaker
    follows = age_ms < 2 * rules.window_ms
    return replace(
        breaker,
        window_from_ms=now_ms,
        calls=0,
        failures=0,
        calls_before=breaker.calls if follows else 0,
        failures_before=breaker.failures if follows else 0,
    )
