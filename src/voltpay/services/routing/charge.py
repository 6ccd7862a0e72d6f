"""One POST to a processor, and what its answer proves.

An answer belongs to the POST that got it. What is not understood is unknown, never a no.
"""

import asyncio
from functools import lru_cache
from typing import Final, assert_never

import structlog
from msgspec import Struct
from msgspec.structs import replace
from prometheus_client import Counter, Histogram

from voltpay.core.money import fee_of
from voltpay.foundation.runtime.failpoints import reach
from voltpay.processors.seam import (
    Absent,
    Charge,
    Declined,
    Duplicate,
    Executed,
    Finding,
    Found,
    NotDone,
    Outcome,
    Unanswered,
    Unknown,
)
from voltpay.services.routing.attempts import AttemptRow, AttemptState, Closing
from voltpay.services.routing.lane import Call, Lane, Signal

log = structlog.get_logger()

_GRACE_MS: Final = 250
_NOTE_MAX: Final = 200
_CHARGES = Counter(
    "voltpay_routing_charges", "POSTs to processors by outcome", ["processor", "outcome"]
)
_LATENCY = Histogram(
    "voltpay_routing_charge_seconds",
    "Latency of POSTs to processors",
    ["processor"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
)


class Decided(Struct, frozen=True):
    """The processor executed the payment, or declined it for good."""

    executed: bool
    requested_at_ms: int
    declined: str = ""


class Refused(Struct, frozen=True):
    """This POST charged nothing and will not. `was_sent`: false if it was never sent at all."""

    why: str
    was_sent: bool = True


class Undecided(Struct, frozen=True):
    """This POST may have charged. `duplicate`: the processor says it has it, yet cannot show it."""

    why: str
    duplicate: bool = False


class Contradicted(Struct, frozen=True):
    """What the processor says cannot be reconciled with what was asked: for a person."""

    why: str


Judgement = Decided | Refused | Undecided | Contradicted


async def post(
    lane: Lane, call: Call, charge: Charge, *, timeout_ms: int, find_timeout_ms: int
) -> Judgement:
    """Send one POST in a slot that is held, and judge its answer; a duplicate is confirmed."""
    outcome = await _sent(lane, call, charge, timeout_ms)
    match outcome:
        case Executed(amount_minor=amount_minor, requested_at_ms=requested_at_ms):
            if amount_minor != charge.amount_minor:
                return Undecided("answered with another amount")
            return Decided(True, requested_at_ms)
        case Declined(reason=reason):
            return Decided(False, charge.requested_at_ms, printable(reason) or "declined")
        case NotDone(why=why):
            return Refused(printable(why))
        case Unknown(why=why):
            return Undecided(printable(why))
        case Duplicate():
            finding = await found(lane, charge, find_timeout_ms)
            return judged(finding, charge) or Undecided("duplicate, but not found", duplicate=True)
        case _:
            assert_never(outcome)


async def found(lane: Lane, charge: Charge, timeout_ms: int) -> Finding:
    """Ask the processor for the payment."""
    try:
        async with asyncio.timeout((timeout_ms + _GRACE_MS) / 1000):
            return await lane.processor.find(charge.payment_id, timeout_ms)
    except TimeoutError:
        return Unanswered("timeout")
    except Exception as error:  # noqa: BLE001  an adapter's defect proves nothing
        log.error("routing.adapter_failed", processor=lane.name, error=type(error).__name__)
        return Unanswered("adapter failed")


def judged(finding: Finding, charge: Charge) -> Judgement | None:
    """What an answer to the question proves; None for "not there", which alone proves nothing."""
    match finding:
        case Found(amount_minor=amount_minor, requested_at_ms=requested_at_ms):
            if amount_minor == charge.amount_minor:
                return Decided(True, requested_at_ms)
            return Contradicted(f"the processor holds an amount of {amount_minor} minor units")
        case Unanswered(why=why):
            return Undecided(f"not answered: {printable(why)}")
        case Absent():
            return None
        case _:
            assert_never(finding)


def concluded(row: AttemptRow, judgement: Judgement, lane: Lane, now_ms: int) -> AttemptRow:
    """The attempt as it stands after a judgement."""
    match judgement:
        case Decided(executed=executed, requested_at_ms=requested_at_ms, declined=declined):
            return replace(
                row,
                state=AttemptState.EXECUTED if executed else AttemptState.DECLINED,
                requested_at_ms=requested_at_ms,
                fee_minor=fee_of(row.payment.amount_minor, lane.fee) if executed else 0,
                note=declined,
                settled_at_ms=now_ms,
            )
        case Refused(why=why):
            return replace(row, state=AttemptState.ABSENT, note=why)
        case Undecided(why=why):
            return replace(row, state=AttemptState.UNKNOWN, note=why)
        case Contradicted(why=why):
            return replace(row, state=AttemptState.PARKED, note=why)
        case _:
            assert_never(judgement)


def closing_of(row: AttemptRow, *, ask_after_ms: int, posted: bool = False) -> Closing:
    """The write that makes the attempt stand as `row` says."""
    settled = row.state in {AttemptState.EXECUTED, AttemptState.DECLINED}
    return Closing(
        row.payment.id,
        row.number,
        row.turn,
        row.state,
        row.requested_at_ms,
        ask_after_ms,
        row.note,
        row.fee_minor,
        row.settled_at_ms if settled else None,
        posted,
    )


def charge_of(row: AttemptRow) -> Charge:
    """What the processor is asked; the same at every repeat."""
    payment = row.payment
    return Charge(
        payment.id,
        payment.amount_minor,
        payment.currency,
        row.requested_at_ms,
        payment.traceparent,
    )


def printable(text: str) -> str:
    """Foreign text as one line that any store takes."""
    return "".join(c if c.isprintable() else "?" for c in text[:_NOTE_MAX])


async def _sent(lane: Lane, call: Call, charge: Charge, timeout_ms: int) -> Outcome:
    lane.posting(call)
    outcome: Outcome
    try:
        with lane.overdue.bound((timeout_ms + _GRACE_MS) / 1000):
            reach("route.before_call")
            outcome = await lane.processor.charge(charge, timeout_ms)
            reach("route.after_call")
        signal = _signal_of(outcome)
    except TimeoutError:
        outcome, signal = Unknown("timeout"), Signal.FAILED
    except Exception as error:  # noqa: BLE001  an adapter's defect proves nothing
        log.error("routing.adapter_failed", processor=lane.name, error=type(error).__name__)
        outcome, signal = Unknown("adapter failed"), Signal.FAILED
    took_ms = lane.answered(call, signal)
    seconds, charges = _metrics(lane.name, type(outcome))
    seconds.observe(took_ms / 1000)
    charges.inc()
    return outcome


@lru_cache(maxsize=1_024)
def _metrics(processor: str, outcome: type) -> tuple[Histogram, Counter]:
    return _LATENCY.labels(processor), _CHARGES.labels(processor, outcome.__name__.lower())


def _signal_of(outcome: Outcome) -> Signal:
    match outcome:
        case Executed() | Declined() | Duplicate():
            return Signal.GOOD
        case NotDone(counts_for_breaker=counts):
            return Signal.FAILED if counts else Signal.BUSY
        case Unknown():
            return Signal.FAILED
        case _:
            assert_never(outcome)
