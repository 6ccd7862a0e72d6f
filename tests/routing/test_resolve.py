"""Unknown outcomes: asked for, repeated, proven absent; on a real PostgreSQL."""

from collections.abc import Callable

import pytest
from tests.routing.simulated import (
    NOW_MS,
    House,
    SimulatedProcessor,
    a_payment,
    accepted,
    books_another_amount,
    books_another_time,
    claims_duplicate,
    declines,
    executes_and_resets,
    hangs_without_executing,
    is_busy,
    refuses,
    resets,
    taken,
)

from voltpay.core.errors import Unavailable
from voltpay.core.messages import PaymentDeferred, PaymentSettled
from voltpay.core.payment import Payment
from voltpay.foundation.seams.log import Record
from voltpay.processors.seam import Charge, Found, Unanswered

Houses = Callable[..., House]
PROVEN_MS = 40_000


async def unknown_at(one: House, *behaviours: object) -> Payment:
    """A payment whose first POST left it unknown."""
    payment = a_payment()
    one.processors[0].behaviours = list(behaviours)
    assert await one.route(accepted(payment)) == ()
    assert await one.states_of(payment) == ["unknown"]
    return payment


async def test_a_charge_that_was_made_is_found_and_adopted(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, executes_and_resets)
    await one.resolve()
    [message] = one.log.messages
    assert isinstance(message, PaymentSettled)
    assert (message.executed, message.payment, message.attempt.number) == (True, payment, 1)
    assert await one.states_of(payment) == ["executed"]
    assert list(await one.route(accepted(payment))) == [message]
    assert one.processors[0].executions == [payment.id]


async def test_one_that_is_not_there_is_charged_again_the_same(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, resets)
    await one.resolve()
    first, second = one.processors[0].posts
    assert first == second
    assert one.processors[0].executions == [payment.id]
    assert [type(message) for message in one.log.messages] == [PaymentSettled]


async def test_a_repeat_that_is_a_duplicate_is_confirmed_and_adopted(house: Houses) -> None:
    one = house()
    await unknown_at(one, resets, books_another_time)
    await one.resolve()
    [message] = one.log.messages
    assert isinstance(message, PaymentSettled)
    assert message.attempt.requested_at_ms == one.processors[0].posts[0].requested_at_ms - 5


@pytest.mark.parametrize("no", [refuses, is_busy])
async def test_a_definite_no_to_the_repeat_proves_nothing(house: Houses, no: object) -> None:
    one = house()
    payment = await unknown_at(one, resets, no, no, no)
    await one.resolve(3)
    assert await one.states_of(payment) == ["unknown"]
    assert one.log.messages == []
    late = one.processors[0].posts[0]
    one.processors[0].insert(late)
    await one.resolve()
    assert [type(message) for message in one.log.messages] == [PaymentSettled]


async def test_a_decline_of_the_repeat_waits_for_the_first_charge(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, resets, declines)
    await one.resolve(3)
    assert await one.states_of(payment) == ["unknown"]
    assert len(one.processors[0].posts) == 2
    one.clock.jumped_ms += PROVEN_MS
    await one.resolve()
    [message] = one.log.messages
    assert isinstance(message, PaymentSettled)
    assert (message.executed, message.declined) == (False, "no ?funds")
    assert message.attempt.requested_at_ms == one.processors[0].posts[0].requested_at_ms


async def test_absent_is_proven_by_time_alone_and_goes_to_another(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, resets, resets)
    await one.resolve(3)
    assert await one.states_of(payment) == ["unknown"]
    assert len(one.processors[0].posts) == 2
    one.clock.jumped_ms += PROVEN_MS
    await one.resolve()
    assert await one.states_of(payment) == ["absent"]
    [message] = one.log.messages
    assert isinstance(message, PaymentDeferred)
    await one.make_due()
    assert await one.store.unposted(10) == []
    [settled] = await one.route(taken(message))
    assert isinstance(settled, PaymentSettled)
    assert settled.attempt.number == 2
    assert settled.attempt.requested_at_ms >= one.processors[0].posts[0].requested_at_ms


async def test_an_uncertain_repeat_starts_the_wait_anew(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, resets, refuses, resets)
    await one.resolve()
    one.clock.jumped_ms += 25_000
    await one.resolve()
    assert len(one.processors[0].posts) == 3
    one.clock.jumped_ms += 25_000
    await one.resolve()
    assert await one.states_of(payment) == ["unknown"]
    one.clock.jumped_ms += 10_000
    await one.resolve()
    assert await one.states_of(payment) == ["absent"]


async def test_another_process_counts_the_wait_anew(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, resets, resets, resets, resets)
    await one.resolve()
    two = house(*one.processors, owner="there", clock=one.clock)
    one.clock.jumped_ms += PROVEN_MS
    await two.resolve()
    await one.resolve()
    assert await one.states_of(payment) == ["unknown"]
    one.clock.jumped_ms += PROVEN_MS
    await one.resolve()
    assert await one.states_of(payment) == ["absent"]


async def test_another_amount_is_parked_for_a_person(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, books_another_amount)
    await one.resolve()
    [view] = await one.attempts_of(payment)
    assert (view.state, "1991" in view.note) == ("parked", True)
    assert one.log.messages == []


async def test_a_duplicate_that_is_never_found_is_parked_not_sent_elsewhere(
    house: Houses,
) -> None:
    one = house()
    payment = await unknown_at(one, claims_duplicate, claims_duplicate)
    await one.resolve(2)
    assert await one.states_of(payment) == ["unknown"]
    one.clock.jumped_ms += PROVEN_MS
    await one.resolve()
    assert await one.states_of(payment) == ["parked"]


async def test_no_answer_proves_nothing_however_late(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, hangs_without_executing)
    one.processors[0].answers = [Unanswered("timeout")] * 3
    await one.resolve(2)
    one.clock.jumped_ms += PROVEN_MS
    await one.resolve()
    assert await one.states_of(payment) == ["unknown"]
    assert len(one.processors[0].posts) == 1


async def test_nothing_is_repeated_through_an_open_breaker(house: Houses) -> None:
    one = house()
    payment = await unknown_at(one, resets)
    for _ in range(4):
        one.processors[0].behaviours.append(resets)
        await one.route(accepted(a_payment()))
    assert one.lanes.by_name["default"].breaker.state == "open"
    posts = len(one.processors[0].posts)
    await one.resolve(3)
    assert len(one.processors[0].posts) == posts
    assert await one.states_of(payment) == ["unknown"]


async def test_a_live_call_of_this_process_is_left_alone(house: Houses) -> None:
    one, payment = house(), a_payment()

    async def is_resolved_meanwhile(processor: SimulatedProcessor, charge: Charge) -> object:
        await one.expire_leases()
        await one.resolve()
        return Found  # no outcome at all: an adapter's defect

    one.processors[0].behaviours = [is_resolved_meanwhile]
    assert await one.route(accepted(payment)) == ()
    assert one.processors[0].questions == 0
    assert await one.states_of(payment) == ["unknown"]


async def test_what_the_log_did_not_take_is_swept(house: Houses) -> None:
    one = house()
    found = await unknown_at(one, executes_and_resets)
    absent = await unknown_at(one, resets, resets)
    append = one.log.append

    async def is_away(records: list[Record]) -> None:
        raise Unavailable("the log is away")

    one.log.append = is_away
    with pytest.raises(Unavailable):
        await one.resolve()
    one.clock.jumped_ms += PROVEN_MS
    with pytest.raises(Unavailable):
        await one.resolve()
    one.log.append = append
    assert await one.states_of(found) == ["executed"]
    assert await one.states_of(absent) == ["absent"]
    await one.make_due()
    await one.sweep()
    kinds = {type(message): message.payment for message in one.log.messages}
    assert kinds == {PaymentSettled: found, PaymentDeferred: absent}


async def test_the_sweeper_publishes_what_the_ledger_lacks_and_only_that(
    house: Houses,
) -> None:
    one = house()
    posted, missing = a_payment(), a_payment()
    await one.route(accepted(posted))
    [message] = await one.route(accepted(missing))
    one.posted = {posted.id}
    await one.sweep()
    assert one.log.messages == []
    await one.make_due()
    await one.sweep()
    await one.sweep()
    assert one.log.messages == [message]
    one.posted.add(missing.id)
    await one.make_due()
    await one.sweep()
    assert one.log.messages == [message]
    assert await one.database.fetch_value("select bool_and(posted) from routing.attempt") is True


async def test_a_batch_of_many_is_resolved_in_one_run(house: Houses) -> None:
    one = house()
    for _ in range(40):
        payment = a_payment()
        await one.store.open([_opening_of(one, payment)])
        one.processors[0].insert(Charge(payment.id, payment.amount_minor, "EUR", NOW_MS))
    await one.expire_leases()
    await one.resolve()
    assert await one.states() == {"executed": 40}
    assert len(one.log.messages) == 40


def _opening_of(one: House, payment: Payment) -> object:
    chosen = one.route._chosen(payment)
    assert chosen.choice.offer is not None
    slot = one.route._entered(chosen, chosen.choice.offer)
    slot.lane.leave(slot.call)
    return one.route._opening(payment, slot, 1)
