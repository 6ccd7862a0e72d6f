"""Every fault as the adapter meets it over a real connection, and what a repeat meets."""

from collections import Counter

import pytest
from tests.processors.conftest import NOON_MS, MakeCharge, StartSandbox

from voltpay.processors.sandbox.faults import Fault
from voltpay.processors.seam import (
    Absent,
    Declined,
    Duplicate,
    Executed,
    Found,
    Health,
    NotDone,
    Unknown,
)

DONE = Executed(1990, NOON_MS)
BOOKED = Found(1990, NOON_MS)
BOOKED_MORE = Found(1991, NOON_MS)
OTHER = Unknown("the answer speaks of another payment")


@pytest.mark.parametrize(
    ("fault", "outcome", "found", "repeated"),
    [
        (Fault.LATE, Unknown("timeout"), BOOKED, Duplicate()),
        (Fault.RESET, Unknown("broken connection"), BOOKED, Duplicate()),
        (Fault.RESET_BEFORE_INSERT, Unknown("broken connection"), Absent(), DONE),
        (Fault.ERROR_AFTER_INSERT, Unknown("status 500"), BOOKED, Duplicate()),
        (Fault.FALSE_NO, NotDone("500", counts_for_breaker=True), BOOKED, Duplicate()),
        (Fault.GARBAGE, Unknown("unreadable answer"), BOOKED, Duplicate()),
        (Fault.AMOUNT_ANSWERED_WRONG, OTHER, BOOKED, Duplicate()),
        (Fault.AMOUNT_BOOKED_WRONG, OTHER, BOOKED_MORE, Duplicate()),
        (Fault.AMOUNT_BOOKED_WRONG_SILENTLY, DONE, BOOKED_MORE, Duplicate()),
        (Fault.DECLINE, Declined("insufficient_funds"), Absent(), Declined("insufficient_funds")),
        (Fault.FALSE_DUPLICATE, Duplicate(), Absent(), DONE),
    ],
)
async def test_a_fault_is_met_told_and_counted(
    fault: Fault, outcome, found, repeated, sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    await one.control.set_faults({fault: 1.0}, answer_after_insert_ms=600, seed=7)
    charge = charge_of()

    patience_ms = 250 if fault is Fault.LATE else 5_000
    assert await one.processor.charge(charge, patience_ms) == outcome
    assert await one.processor.find(charge.payment_id, 1000) == found
    assert await one.processor.charge(charge, 5_000) == repeated
    told = await one.control.faults()
    assert told.seed == 7
    assert told.counts == {fault: 2 if fault is Fault.DECLINE else 1}


async def test_a_late_answer_that_is_waited_for_is_executed(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    await one.control.set_faults({Fault.LATE: 1.0}, answer_after_insert_ms=30)

    assert await one.processor.charge(charge_of(), 2000) == DONE


async def test_a_hidden_payment_is_absent_at_first_and_then_found(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    await one.control.set_faults({Fault.ABSENT_FIRST: 1.0})
    charge = charge_of()
    await one.processor.charge(charge, 1000)

    answers = [await one.processor.find(charge.payment_id, 1000) for _ in range(3)]

    assert answers == [Absent(), BOOKED, BOOKED]


async def test_health_that_lies_says_the_opposite(sandbox: StartSandbox) -> None:
    one = await sandbox(health_window_ms=1)
    await one.control.set_delay(40)
    await one.control.set_faults({Fault.HEALTH_LIES: 1.0})

    assert await one.processor.health(1000) == Health(True, 0)
    await one.control.set_failure(True)
    assert await one.processor.health(1000) == Health(False, 0)


async def test_a_seed_that_is_not_given_is_drawn_and_told(sandbox: StartSandbox) -> None:
    one = await sandbox()
    seeds = set()
    for _ in range(3):
        await one.control.set_faults({Fault.RESET: 0.5})
        seeds.add((await one.control.faults()).seed)

    assert len(seeds) == 3


async def test_a_mixture_leaves_journal_and_outcomes_in_agreement(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    share = {
        Fault.RESET: 0.1,
        Fault.RESET_BEFORE_INSERT: 0.1,
        Fault.GARBAGE: 0.1,
        Fault.DECLINE: 0.1,
        Fault.ERROR_AFTER_INSERT: 0.1,
    }
    await one.control.set_faults(share, seed=3)
    charges = [charge_of() for _ in range(200)]
    outcomes = {each.payment_id: await one.processor.charge(each, 2000) for each in charges}

    journal = {row.payment_id async for rows in one.processor.statement() for row in rows}

    kinds = Counter(type(outcome).__name__ for outcome in outcomes.values())
    assert set(kinds) == {"Executed", "Unknown", "Declined"}
    for payment_id, outcome in outcomes.items():
        assert not isinstance(outcome, Executed) or payment_id in journal
        assert not isinstance(outcome, Declined) or payment_id not in journal
    counts = (await one.control.faults()).counts
    assert kinds["Declined"] == counts[Fault.DECLINE]
    assert kinds["Unknown"] == sum(counts.values()) - counts[Fault.DECLINE]
