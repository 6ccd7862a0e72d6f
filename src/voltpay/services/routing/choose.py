"""Which processor takes a payment: a pure function of what the processors offer, and why.

The cheapest acceptable one wins. An offer is acceptable when it takes the currency, was not tried
just now, its breaker lets the payment through, it does not say that it fails, its lane has room,
and it is expected to answer in time. If all that is left is slow, the quickest wins.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct


class Gate(StrEnum):
    """What a breaker does with a new payment: `due` takes exactly one, to see."""

    CLOSED = "closed"
    DUE = "due"
    OPEN = "open"


class Verdict(StrEnum):
    """What became of an offer."""

    CHOSEN = "chosen"
    CURRENCY = "currency"
    TRIED = "tried"
    OPEN = "open"
    FAILING = "failing"
    FULL = "full"
    SLOW = "slow"
    DEARER = "dearer"


class Offer(Struct, frozen=True, gc=False):
    """What a processor's lane offers just now. Times in milliseconds; -1 means not known.

    `failing` and `min_response_ms` are the processor's own words, 0 and False once too old.
    `oldest_ms` is the age of the oldest call that no later call has overtaken. `in_flight` counts
    those ahead, too: payments that are held beyond the limit because they are soon charged.
    """

    name: str
    fee: Decimal
    currencies: frozenset[str]
    gate: Gate = Gate.CLOSED
    failing: bool = False
    health_age_ms: int = -1
    min_response_ms: int = 0
    latency_ms: int = 0
    trend_ms: int = 0
    oldest_ms: int = 0
    in_flight: int = 0
    limit: int = 16
    limit_max: int = 100
    ahead: int = 0


class Need(Struct, frozen=True, gc=False):
    """What a payment needs. A deadline that is too near to be met is overlooked."""

    currency: str
    deadline_ms: int = 0
    tried: str = ""


class Explained(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One offer in the explanation that is kept with the attempt."""

    name: str
    verdict: str
    fee: Decimal
    expected_ms: int
    in_flight: int
    limit: int
    breaker: str = "closed"
    failing: bool = False
    health_age_ms: int = -1


class Explanation(Struct, frozen=True):
    """Why a payment went where it went: a reason, and a verdict for each offer."""

    reason: str
    offers: Sequence[Explained]


class Choice(Struct, frozen=True, gc=False):
    """The offer that takes the payment, or None, and the reason in a word.

    `cheapest`, or `cheaper-…` with what is wrong with the cheapest; `quickest` when all are slow;
    without an offer what is wrong with the cheapest: `open`, `failing`, `full`, `tried`, or
    `currency` when no processor takes it.
    """

    offer: Offer | None
    reason: str
    verdicts: Sequence[tuple[Offer, Verdict]]

    def explanation(self) -> Explanation:
        """The choice with the numbers that it was made from."""
        return Explanation(self.reason, [_explained(*pair) for pair in self.verdicts])

    def explained_json(self) -> str:
        """The explanation as JSON."""
        return _ENCODER.encode(self.explanation()).decode()


_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def choose(offers: Sequence[Offer], need: Need, now_ms: int, slow_ms: int) -> Choice:
    """The choice among offers, given in the order of their fees."""
    bearable_ms = _bearable_ms(need, now_ms, slow_ms)
    verdicts: list[tuple[Offer, Verdict]] = []
    chosen = quickest = None
    for offer in offers:
        verdict = verdict_on(offer, need, bearable_ms)
        if verdict is Verdict.CHOSEN:
            if chosen is None:
                chosen = offer
            else:
                verdict = Verdict.DEARER
        elif verdict is Verdict.SLOW and (
            quickest is None or expected_ms(offer) < expected_ms(quickest)
        ):
            quickest = offer
        verdicts.append((offer, verdict))
    if chosen is None and quickest is not None:
        return _quickest(quickest, verdicts)
    return Choice(chosen, _reason(verdicts), verdicts)


def verdict_on(offer: Offer, need: Need, bearable_ms: int, *, full: bool = True) -> Verdict:
    """What is wrong with an offer; CHOSEN if nothing is. `full=False` overlooks a full lane."""
    verdict = Verdict.CHOSEN
    if need.currency not in offer.currencies:
        verdict = Verdict.CURRENCY
    elif offer.name == need.tried:
        verdict = Verdict.TRIED
    elif offer.gate is Gate.OPEN:
        verdict = Verdict.OPEN
    elif offer.failing:
        verdict = Verdict.FAILING
    elif full and offer.in_flight >= offer.limit_max + offer.ahead:
        verdict = Verdict.FULL
    elif expected_ms(offer) > bearable_ms:
        verdict = Verdict.SLOW
    return verdict


def expected_ms(offer: Offer) -> int:
    """When an answer is expected: the worst of what was measured, is running, and was said."""
    trend_ms = offer.trend_ms if offer.trend_ms > 0 else 0
    measured_ms = offer.latency_ms + trend_ms
    waiting_ms = offer.oldest_ms if offer.oldest_ms > measured_ms else measured_ms
    return offer.min_response_ms if offer.min_response_ms > waiting_ms else waiting_ms


def _bearable_ms(need: Need, now_ms: int, slow_ms: int) -> int:
    rest_ms = need.deadline_ms - now_ms
    return rest_ms if slow_ms // 4 <= rest_ms < slow_ms else slow_ms


def _quickest(offer: Offer, verdicts: list[tuple[Offer, Verdict]]) -> Choice:
    marked = [(one, Verdict.CHOSEN if one is offer else verdict) for one, verdict in verdicts]
    return Choice(offer, "quickest", marked)


def _reason(verdicts: Sequence[tuple[Offer, Verdict]]) -> str:
    for _, verdict in verdicts:
        if verdict is Verdict.CHOSEN:
            return "cheapest"
        if verdict is not Verdict.CURRENCY:
            break
    else:
        return Verdict.CURRENCY.value
    if any(later is Verdict.CHOSEN for _, later in verdicts):
        return f"cheaper-{verdict.value}"
    return verdict.value


def _explained(offer: Offer, verdict: Verdict) -> Explained:
    return Explained(
        offer.name,
        verdict.value,
        offer.fee,
        expected_ms(offer),
        offer.in_flight,
        offer.limit,
        offer.gate.value,
        offer.failing,
        offer.health_age_ms,
    )
