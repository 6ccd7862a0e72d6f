"""Which payment meets which fault: by seed and id, in the shares that were set."""

from collections import Counter
from uuid import UUID, uuid5

import pytest

from voltpay.processors.sandbox.faults import Fault, FaultPlan, FaultSettings

IDS = [uuid5(UUID(int=1), str(number)).bytes for number in range(4_000)]


def plan_of(share: dict[Fault, float], seed: int = 7) -> FaultPlan:
    plan = FaultPlan()
    plan.change(FaultSettings(share=share), seed)
    return plan


def test_without_settings_nothing_happens() -> None:
    plan = FaultPlan()

    assert not any(plan.of_payment(each) or plan.hides(each) for each in IDS)
    assert not plan.lies(1)
    assert plan.counts == Counter()


def test_the_same_seed_chooses_the_same_and_another_seed_others() -> None:
    share = {Fault.RESET: 0.2, Fault.DECLINE: 0.1}
    first, same, other = plan_of(share), plan_of(share), plan_of(share, seed=8)

    chosen = [first.of_payment(each) for each in IDS]

    assert chosen == [same.of_payment(each) for each in IDS]
    assert chosen != [other.of_payment(each) for each in IDS]


def test_shares_are_met_and_counted() -> None:
    plan = plan_of({Fault.RESET: 0.2, Fault.DECLINE: 0.05, Fault.GARBAGE: 0.0})
    for each in IDS:
        plan.of_payment(each)

    assert plan.counts[Fault.RESET] == pytest.approx(800, rel=0.15)
    assert plan.counts[Fault.DECLINE] == pytest.approx(200, rel=0.3)
    assert Fault.GARBAGE not in plan.counts


def test_all_payments_meet_a_fault_whose_share_is_one() -> None:
    plan = plan_of({Fault.GARBAGE: 1.0})

    assert {plan.of_payment(each) for each in IDS[:100]} == {Fault.GARBAGE}


@pytest.mark.parametrize("kind", [Fault.RESET_BEFORE_INSERT, Fault.FALSE_DUPLICATE])
def test_some_faults_strike_only_the_first_request(kind: Fault) -> None:
    plan = plan_of({kind: 1.0})

    assert [plan.of_payment(IDS[0]) for _ in range(3)] == [kind, None, None]
    assert plan.counts == {kind: 1}
    plan.forget()
    assert plan.of_payment(IDS[0]) is kind


def test_a_decline_strikes_every_time() -> None:
    plan = plan_of({Fault.DECLINE: 1.0})

    assert [plan.of_payment(IDS[0]) for _ in range(2)] == [Fault.DECLINE] * 2


def test_hiding_strikes_once_and_is_drawn_apart_from_charges() -> None:
    plan = plan_of({Fault.ABSENT_FIRST: 1.0, Fault.RESET: 1.0})

    assert plan.of_payment(IDS[0]) is Fault.RESET
    assert [plan.hides(IDS[0]), plan.hides(IDS[0])] == [True, False]


def test_lies_about_health_are_drawn_for_each_answer() -> None:
    plan = plan_of({Fault.HEALTH_LIES: 0.5})

    told = [plan.lies(number) for number in range(1_000)]

    assert sum(told) == plan.counts[Fault.HEALTH_LIES] == pytest.approx(500, rel=0.15)


@pytest.mark.parametrize(
    "settings",
    [
        FaultSettings(share={Fault.RESET: 0.6, Fault.LATE: 0.5}),
        FaultSettings(share={Fault.RESET: -0.1}),
        FaultSettings(share={Fault.ABSENT_FIRST: 1.1}),
        FaultSettings(answer_after_insert_ms=-1),
        FaultSettings(answer_after_insert_ms=600_001),
    ],
)
def test_shares_and_times_out_of_bounds_are_wrong(settings: FaultSettings) -> None:
    assert settings.wrong()


def test_shares_that_are_drawn_apart_do_not_count_against_the_others() -> None:
    assert FaultSettings(share={Fault.RESET: 1.0, Fault.HEALTH_LIES: 1.0}).wrong() == ""
