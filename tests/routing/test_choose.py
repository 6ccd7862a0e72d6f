"""Choice as a pure function of offers, and its explanation."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltpay.services.routing.choose import (
    Choice,
    Explanation,
    Gate,
    Need,
    Offer,
    Verdict,
    choose,
    expected_ms,
)

SLOW_MS = 1_000
EUR = Need("EUR")


def an_offer(name: str = "default", **changes: object) -> Offer:
    values = {
        "fee": Decimal("0.05") if name == "default" else Decimal("0.15"),
        "currencies": frozenset({"EUR"}),
        **changes,
    }
    return Offer(name, **values)


def chosen(*offers: Offer, need: Need = EUR, now_ms: int = 0) -> tuple[str | None, str]:
    choice = choose(offers, need, now_ms, SLOW_MS)
    return choice.offer and choice.offer.name, choice.reason


def verdicts(choice: Choice) -> dict[str, str]:
    return {offer.name: verdict.value for offer, verdict in choice.verdicts}


def test_both_healthy_everything_goes_to_the_cheaper() -> None:
    busy = an_offer(in_flight=99, limit=4, latency_ms=900)
    assert chosen(busy, an_offer("fallback", latency_ms=1)) == ("default", "cheapest")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"gate": Gate.OPEN}, "open"),
        ({"failing": True}, "failing"),
        ({"in_flight": 100}, "full"),
        ({"latency_ms": 1_001}, "slow"),
        ({"latency_ms": 600, "trend_ms": 500}, "slow"),
        ({"oldest_ms": 1_001}, "slow"),
        ({"min_response_ms": 2_000}, "slow"),
    ],
)
def test_what_is_wrong_with_the_cheaper_sends_it_to_the_other(
    wrong: dict[str, object], reason: str
) -> None:
    offers = (an_offer(**wrong), an_offer("fallback"))
    assert chosen(*offers) == ("fallback", f"cheaper-{reason}")
    choice = choose(offers, EUR, 0, SLOW_MS)
    assert verdicts(choice) == {"default": reason, "fallback": "chosen"}


def test_one_that_was_tried_is_not_tried_again() -> None:
    need = Need("EUR", tried="default")
    assert chosen(an_offer(), an_offer("fallback"), need=need) == ("fallback", "cheaper-tried")
    assert chosen(an_offer(), need=need) == (None, "tried")


def test_a_breaker_that_is_due_takes_one_payment_to_see() -> None:
    assert chosen(an_offer(gate=Gate.DUE), an_offer("fallback")) == ("default", "cheapest")


def test_a_processor_of_another_currency_is_no_reason() -> None:
    other = an_offer("default", currencies=frozenset({"BRL"}))
    assert chosen(other, an_offer("fallback")) == ("fallback", "cheapest")
    assert chosen(other) == (None, "currency")


def test_when_all_are_slow_the_quickest_wins() -> None:
    offers = (an_offer(latency_ms=3_000), an_offer("fallback", latency_ms=1_500))
    assert chosen(*offers) == ("fallback", "quickest")
    assert verdicts(choose(offers, EUR, 0, SLOW_MS)) == {"default": "slow", "fallback": "chosen"}


def test_with_a_deadline_near_the_one_that_makes_it_wins() -> None:
    offers = (an_offer(latency_ms=500), an_offer("fallback", latency_ms=20))
    assert chosen(*offers, need=Need("EUR", deadline_ms=1_300), now_ms=1_000) == (
        "fallback",
        "cheaper-slow",
    )
    for too_late_ms in (900, 1_100):
        need = Need("EUR", deadline_ms=too_late_ms)
        assert chosen(*offers, need=need, now_ms=1_000) == ("default", "cheapest")


def test_nobody_left_names_what_is_wrong_with_the_cheapest() -> None:
    offers = (an_offer(gate=Gate.OPEN), an_offer("fallback", failing=True))
    assert chosen(*offers) == (None, "open")


def test_the_explanation_tells_every_offer_and_its_numbers() -> None:
    offers = (an_offer(failing=True, health_age_ms=900), an_offer("fallback", latency_ms=12))
    text = choose(offers, EUR, 0, SLOW_MS).explained_json()
    explanation = msgspec.json.decode(text)
    assert explanation["reason"] == "cheaper-failing"
    assert explanation["offers"] == [
        {
            "name": "default",
            "verdict": "failing",
            "fee": 0.05,
            "expectedMs": 0,
            "inFlight": 0,
            "limit": 16,
            "failing": True,
            "healthAgeMs": 900,
        },
        {
            "name": "fallback",
            "verdict": "chosen",
            "fee": 0.15,
            "expectedMs": 12,
            "inFlight": 0,
            "limit": 16,
        },
    ]
    assert isinstance(choose(offers, EUR, 0, SLOW_MS).explanation(), Explanation)


OFFERS = st.lists(
    st.builds(
        Offer,
        name=st.sampled_from(["a", "b", "c", "d"]),
        fee=st.decimals(0, 1, places=2),
        currencies=st.sampled_from([frozenset({"EUR"}), frozenset({"BRL"})]),
        gate=st.sampled_from(Gate),
        failing=st.booleans(),
        min_response_ms=st.integers(0, 3_000),
        latency_ms=st.integers(0, 3_000),
        trend_ms=st.integers(-500, 500),
        oldest_ms=st.integers(0, 3_000),
        in_flight=st.integers(0, 120),
    ),
    max_size=4,
    unique_by=lambda offer: offer.name,
).map(lambda offers: sorted(offers, key=lambda offer: offer.fee))


@given(OFFERS)
def test_the_chosen_one_is_usable_and_nothing_acceptable_is_cheaper(offers: list[Offer]) -> None:
    choice = choose(offers, EUR, 0, SLOW_MS)
    usable = [
        offer
        for offer in offers
        if "EUR" in offer.currencies
        and offer.gate is not Gate.OPEN
        and not offer.failing
        and offer.in_flight < offer.limit_max
    ]
    quick = [offer for offer in usable if expected_ms(offer) <= SLOW_MS]
    if quick:
        assert choice.offer == quick[0]
    elif usable:
        assert choice.offer == min(usable, key=expected_ms)
    else:
        assert choice.offer is None
    assert len(choice.verdicts) == len(offers)
    marked = [offer for offer, verdict in choice.verdicts if verdict is Verdict.CHOSEN]
    assert marked == ([choice.offer] if choice.offer else [])
