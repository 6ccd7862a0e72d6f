"""Routing one payment, on a real PostgreSQL and a simulated processor."""

import asyncio
from collections.abc import Callable

import pytest
from tests.routing.simulated import (
    NOW_MS,
    PATIENT,
    Behaviour,
    House,
    SimulatedProcessor,
    a_fingerprint,
    a_payment,
    accepted,
    answers_another_amount,
    books_another_amount,
    books_another_time,
    claims_duplicate,
    declines,
    executes_and_resets,
    executes_then_hangs,
    has_a_defect,
    is_busy,
    refuses,
    resets,
    taken,
)

from voltpay.core.errors import Unavailable
from voltpay.core.messages import Message, PaymentDeferred, PaymentSettled
from voltpay.core.payment import Payment
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.processors.seam import Charge, Executed, Outcome
from voltpay.services.routing.attempts import AttemptState, Closing, Opening
from voltpay.services.routing.lane import HealthSeen, Signal
from voltpay.services.routing.route import NotForRouting, Unroutable

Houses = Callable[..., House]


def settled(messages: list[Message]) -> PaymentSettled:
    [message] = messages
    assert isinstance(message, PaymentSettled)
    return message


def deferred(messages: list[Message]) -> PaymentDeferred:
    [message] = messages
    assert isinstance(message, PaymentDeferred)
    return message


def fill_budget(one: House) -> None:
    for _ in range(30):
        one.route._budget.charged()


async def routed(one: House, payment: Payment) -> list[Message]:
    return list(await one.route(accepted(payment)))


async def test_a_payment_goes_to_the_cheaper_and_is_settled(house: Houses) -> None:
    one, payment = house(), a_payment()
    message = settled(await routed(one, payment))
    default, fallback = one.processors
    assert (message.executed, message.attempt.processor, message.attempt.number) == (
        True,
        "default",
        1,
    )
    assert message.fee_minor == 100
    assert message.attempt.reason == "cheapest"
    assert default.journal[payment.id] == (1_990, message.attempt.requested_at_ms)
    assert fallback.posts == []
    assert await one.states_of(payment) == ["executed"]


async def test_the_attempt_stands_before_the_first_byte_goes_out(house: Houses) -> None:
    one, payment, seen = house(settings=PATIENT), a_payment(), []

    async def looks(processor: SimulatedProcessor, charge: Charge) -> Outcome:
        [view] = await one.attempts_of(payment)
        seen.append((view.state, view.requested_at_ms))
        return Executed(charge.amount_minor, charge.requested_at_ms)

    one.processors[0].behaviours = [looks]
    message = settled(await routed(one, payment))
    assert seen == [("sending", message.attempt.requested_at_ms)]


async def test_the_same_payment_again_charges_nothing_and_says_the_same(house: Houses) -> None:
    one, payment = house(), a_payment()
    first = await routed(one, payment)
    again = a_payment(id=payment.id, accepted_at_ms=NOW_MS + 5)
    assert await routed(one, again) == first
    assert len(one.processors[0].posts) == 1


async def test_a_decline_is_final_and_said_in_one_printable_line(house: Houses) -> None:
    one, payment = house(), a_payment()
    one.processors[0].behaviours = [declines]
    message = settled(await routed(one, payment))
    assert (message.executed, message.declined, message.fee_minor) == (False, "no ?funds", 0)
    assert await routed(one, payment) == [message]
    assert one.processors[1].posts == []


async def test_another_payment_under_the_id_is_a_conflict_and_charges_nothing(
    house: Houses,
) -> None:
    one, payment = house(), a_payment()
    await routed(one, payment)
    other = a_payment(id=payment.id, fingerprint=a_fingerprint(amount=2, email=9))
    assert await routed(one, other) == []
    [conflict] = await one.store.conflicts_of(payment.id)
    assert list(conflict.fields) == ["amount", "email"]
    assert one.conflicting == [payment.id]
    assert len(one.processors[0].posts) == 1


@pytest.mark.parametrize(
    "behaviour",
    [executes_then_hangs, executes_and_resets, resets, answers_another_amount, has_a_defect],
)
async def test_an_uncertain_answer_leaves_the_payment_with_its_row(
    house: Houses, behaviour: Behaviour
) -> None:
    one, payment = house(), a_payment()
    one.processors[0].behaviours = [behaviour]
    fill_budget(one)
    assert await routed(one, payment) == []
    assert await one.states_of(payment) == ["unknown"]
    assert await routed(one, payment) == []
    assert len(one.processors[0].posts) == 1
    assert one.processors[1].posts == []


async def test_a_definite_no_is_tried_once_at_the_other(house: Houses) -> None:
    one, payment = house(), a_payment()
    fill_budget(one)
    one.processors[0].behaviours = [refuses]
    message = settled(await routed(one, payment))
    assert (message.attempt.processor, message.attempt.number) == ("fallback", 2)
    assert message.attempt.reason == "cheaper-tried"
    assert message.fee_minor == 298
    assert await one.states_of(payment) == ["absent", "executed"]


async def test_a_definite_no_of_both_puts_it_off(house: Houses) -> None:
    one, payment = house(), a_payment()
    fill_budget(one)
    one.processors[0].behaviours, one.processors[1].behaviours = [is_busy], [refuses]
    message = deferred(await routed(one, payment))
    assert (message.payment, message.times) == (payment, 1)
    assert await one.states_of(payment) == ["absent", "absent"]
    await one.make_due()
    assert await one.store.unposted(10) == []
    again = settled(list(await one.route(taken(message))))
    assert (again.attempt.number, again.attempt.processor) == (3, "default")


async def test_without_retry_budget_a_definite_no_puts_it_off(house: Houses) -> None:
    one, payment = house(), a_payment()
    one.processors[0].behaviours = [refuses]
    message = deferred(await routed(one, payment))
    assert message.reason == "500"
    assert one.processors[1].posts == []
    assert await one.states_of(payment) == ["absent"]


async def test_an_unknown_second_try_is_never_followed_by_a_third(house: Houses) -> None:
    one, payment = house(), a_payment()
    fill_budget(one)
    one.processors[0].behaviours, one.processors[1].behaviours = [refuses], [executes_and_resets]
    assert await routed(one, payment) == []
    assert await one.states_of(payment) == ["absent", "unknown"]


async def test_a_duplicate_with_the_same_amount_is_adopted_with_its_time(house: Houses) -> None:
    one, payment = house(), a_payment()
    one.processors[0].behaviours = [books_another_time]
    message = settled(await routed(one, payment))
    [posted] = one.processors[0].posts
    assert message.attempt.requested_at_ms == posted.requested_at_ms - 5
    assert await routed(one, payment) == [message]


async def test_a_duplicate_with_another_amount_is_parked(house: Houses) -> None:
    one, payment = house(), a_payment()
    one.processors[0].insert(Charge(payment.id, 7, "EUR", NOW_MS))
    assert await routed(one, payment) == []
    assert await one.states_of(payment) == ["parked"]
    assert await routed(one, payment) == []


async def test_a_duplicate_that_is_not_found_is_unknown(house: Houses) -> None:
    one, payment = house(), a_payment()
    one.processors[0].behaviours = [claims_duplicate]
    assert await routed(one, payment) == []
    assert await one.states_of(payment) == ["unknown"]


async def test_a_booked_wrong_amount_is_not_settled(house: Houses) -> None:
    one, payment = house(), a_payment()
    one.processors[0].behaviours = [books_another_amount]
    assert await routed(one, payment) == []
    assert await one.states_of(payment) == ["unknown"]


async def test_one_that_is_being_sent_elsewhere_is_put_off(house: Houses) -> None:
    here, there, payment = house(settings=PATIENT), house(owner="there"), a_payment()
    here.processors[0].behaviours = [executes_then_hangs]
    sending = asyncio.create_task(here.route(accepted(payment)))
    await here.processors[0].was_sent()
    message = deferred(await routed(there, payment))
    assert message.reason == "is being sent"
    assert await there.states_of(payment) == ["sending"]
    await there.expire_leases()
    assert await routed(there, payment) == []
    assert await there.states_of(payment) == ["unknown"]
    assert there.processors[0].posts == []
    sending.cancel()


async def test_a_sender_that_lost_its_attempt_says_nothing(house: Houses) -> None:
    here, there, payment = house(), house(owner="there"), a_payment()

    async def is_taken_over_meanwhile(processor: SimulatedProcessor, charge: Charge) -> Outcome:
        processor.insert(charge)
        await there.expire_leases()
        assert await routed(there, payment) == []
        return Executed(charge.amount_minor, charge.requested_at_ms)

    here.processors[0].behaviours = [is_taken_over_meanwhile]
    assert await routed(here, payment) == []
    assert await here.states_of(payment) == ["unknown"]


async def test_a_sender_whose_lease_ran_out_sends_nothing(house: Houses) -> None:
    one, payment = house(), a_payment()
    write = one.store.open

    async def writes_slowly(openings: list[Opening]) -> object:
        results = await write(openings)
        one.clock.jumped_ms += 60_000
        return results

    one.store.open = writes_slowly
    rebuilt = House(one.database, one.processors, clock=one.clock)
    rebuilt.attempts._open._commit = writes_slowly
    message = deferred(await routed(rebuilt, payment))
    assert "lease" in message.reason
    assert one.processors[0].posts == []
    assert await one.states_of(payment) == ["absent"]


async def test_twice_at_once_charges_once(house: Houses) -> None:
    one, payment = house(), a_payment()
    results = await asyncio.gather(*(one.route(accepted(payment)) for _ in range(8)))
    kinds = [type(message) for messages in results for message in messages]
    assert kinds.count(PaymentSettled) == 1
    assert kinds.count(PaymentDeferred) == 7
    assert len(one.processors[0].posts) == 1


async def test_with_all_breakers_open_it_is_put_off_and_nothing_is_written(
    house: Houses,
) -> None:
    one = house()
    for processor in one.processors:
        processor.behaviours = [resets] * 40
    while one.route.room():
        await routed(one, a_payment())
    payment = a_payment()
    message = deferred(await routed(one, payment))
    assert message.reason == "open"
    assert await one.states_of(payment) == []


async def test_room_that_comes_back_with_time_is_noticed(house: Houses) -> None:
    one, woken = house(), []
    one.route.on_change = lambda: woken.append(True)
    for processor in one.processors:
        processor.behaviours = [refuses] * 40
    while one.route.room():
        await routed(one, a_payment())
    await one.route.notice()
    assert not woken
    one.clock.jumped_ms += 60_000
    await one.route.notice()
    assert woken == [True]
    for processor in one.processors:
        processor.behaviours = []
    settled(await routed(one, a_payment()))
    assert woken == [True, True]


async def test_a_processor_that_says_it_fails_gets_nothing(house: Houses) -> None:
    one, payment = house(), a_payment()
    one.lanes.by_name["default"].heard(HealthSeen(True, 0, one.clock.monotonic_ms()))
    message = settled(await routed(one, payment))
    assert (message.attempt.processor, message.attempt.reason) == ("fallback", "cheaper-failing")
    [view] = await one.attempts_of(payment)
    assert [offer["verdict"] for offer in view.explanation["offers"]] == ["failing", "chosen"]


async def test_a_slowdown_reroutes_before_the_first_timeout(house: Houses) -> None:
    one = house(settings=PATIENT)
    default = one.processors[0]
    for _ in range(5):
        settled(await routed(one, a_payment()))
    default.behaviours = [executes_then_hangs]
    hanging = asyncio.create_task(one.route(accepted(a_payment())))
    await default.was_sent(6)
    one.clock.jumped_ms += PATIENT.lane.slow_ms + 100
    message = settled(await routed(one, a_payment()))
    assert (message.attempt.processor, message.attempt.reason) == ("fallback", "cheaper-slow")
    assert not hanging.done()
    await hanging


async def test_a_payment_from_before_a_purge_is_dropped(house: Houses, database: Postgres) -> None:
    one, payment = house(), a_payment(epoch=1)
    await database.execute("update reference.installation set epoch = 2")
    assert await routed(one, payment) == []
    assert one.processors[0].posts == []


async def test_a_currency_that_nobody_takes_is_for_a_person(house: Houses) -> None:
    with pytest.raises(Unroutable):
        await house().route(accepted(a_payment(currency="JPY")))


async def test_a_message_of_another_stage_is_refused(house: Houses) -> None:
    one = house()
    message = settled(await routed(one, a_payment()))
    with pytest.raises(NotForRouting):
        await one.route(taken(message))


async def test_a_database_that_is_away_charges_nothing(house: Houses) -> None:
    one = house()
    one.database.url = "postgresql:///nowhere?host=/nowhere"
    with pytest.raises(Unavailable):
        await one.route(accepted(a_payment()))
    assert one.processors[0].posts == []
    assert one.lanes.by_name["default"].in_flight == 0


async def test_a_database_that_goes_away_after_the_charge_keeps_the_attempt(
    house: Houses,
) -> None:
    one, payment = house(), a_payment()

    async def is_away(closings: list[Closing]) -> list[bool]:
        raise Unavailable("away")

    close, one.attempts._close._commit = one.attempts._close._commit, is_away
    with pytest.raises(Unavailable):
        await routed(one, payment)
    one.attempts._close._commit = close
    assert deferred(await routed(one, payment)).reason == "is being sent"
    await one.expire_leases()
    await one.resolve()
    assert settled(one.log.messages).executed
    assert one.processors[0].executions == [payment.id]


async def test_a_call_that_is_cancelled_leaves_a_row_for_the_next_process(
    house: Houses,
) -> None:
    here, there, payment = house(settings=PATIENT), house(owner="there"), a_payment()
    here.processors[0].behaviours = [executes_then_hangs]
    task = asyncio.create_task(here.route(accepted(payment)))
    await here.processors[0].was_sent()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here.lanes.by_name["default"].in_flight == 0
    assert await here.states_of(payment) == [AttemptState.SENDING]
    there.processors[0].journal = here.processors[0].journal
    await there.expire_leases()
    await there.resolve()
    assert settled(there.log.messages).payment == payment


async def test_payments_that_wait_their_turn_as_the_breaker_opens_go_elsewhere_unsent(
    house: Houses,
) -> None:
    one = house()
    default, fallback = one.processors
    default.behaviours = [refuses] * 16
    payments = [a_payment() for _ in range(40)]
    budget = one.route._budget
    budget.take = lambda: False
    said = await asyncio.gather(*(routed(one, each) for each in payments))

    assert len(default.posts) == 16, "as many as may be under way at once"
    assert not default.executions
    assert len(fallback.posts) == 24, "those that were never sent are no retries"
    results = [message for messages in said for message in messages]
    assert sum(isinstance(each, PaymentSettled) for each in results) == 24
    assert sum(isinstance(each, PaymentDeferred) for each in results) == 16
    assert await one.states() == {"absent": 40, "executed": 24}


async def test_a_probe_does_not_wait_behind_charges_that_hang(house: Houses) -> None:
    one = house()
    default = one.processors[0]
    lane = one.lanes.by_name["default"]
    for _ in range(lane.limit):
        await lane.turns.take()
    for _ in range(one.settings.breaker.failures_in_row):
        call = lane.enter(give_up_ms=100)
        lane.posting(call)
        lane.answered(call, Signal.FAILED)
        lane.leave(call)
    one.clock.jumped_ms += one.settings.breaker.pause_max_ms
    message = settled(await asyncio.wait_for(routed(one, a_payment()), 2))
    assert message.attempt.processor == "default"
    assert len(default.posts) == 1


async def test_whoever_waits_behind_charges_that_hang_goes_elsewhere_as_the_breaker_opens(
    house: Houses,
) -> None:
    one = house()
    default, fallback = one.processors
    lane = one.lanes.by_name["default"]
    for _ in range(lane.limit):
        await lane.turns.take()
    waiting = asyncio.create_task(routed(one, a_payment()))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    for _ in range(one.settings.breaker.failures_in_row):
        call = lane.enter(give_up_ms=100)
        lane.posting(call)
        lane.answered(call, Signal.FAILED)
        lane.leave(call)
    message = settled(await asyncio.wait_for(waiting, 2))
    assert message.attempt.processor == "fallback"
    assert (default.posts, len(fallback.posts)) == ([], 1)
