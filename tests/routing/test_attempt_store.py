"""Attempts on a real PostgreSQL: every compare-and-set, accepted and refused."""

import asyncio

import msgspec
import pytest
from tests.routing.simulated import NOW_MS, House, a_fingerprint, a_payment

from voltpay.core.errors import Broken
from voltpay.core.payment import Payment
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.services.routing.attempts import (
    AttemptKey,
    Attempts,
    AttemptState,
    Closing,
    Opened,
    Opening,
    Standing,
)
from voltpay.services.routing.store import Store, purge

EXPLANATION = '{"reason": "cheapest", "offers": []}'


@pytest.fixture
def store(database: Postgres) -> Store:
    return Store(database, "here")


def an_opening(payment: Payment, number: int = 1, **changes: object) -> Opening:
    values = {
        "processor": "default",
        "requested_at_ms": NOW_MS,
        "explanation": EXPLANATION,
        "lease_ms": 60_000,
        **changes,
    }
    return Opening(payment, number, **values)


def a_closing(payment: Payment, state: str, number: int = 1, **changes: object) -> Closing:
    values = {"turn": 1, "requested_at_ms": NOW_MS, "ask_after_ms": 0, **changes}
    return Closing(payment.id, number, state=AttemptState(state), **values)


async def opened(store: Store, *openings: Opening) -> list[bool]:
    return [isinstance(result, Opened) for result in await store.open(openings)]


async def claimed(store: Store, held: tuple = (), **changes: int) -> list:
    values = {"count": 10, "lease_ms": 1_000, "grace_ms": 0, **changes}
    return list(await store.claim("default", held=held, **values))


async def test_an_attempt_keeps_what_it_was_opened_with(store: Store) -> None:
    payment = a_payment(details=b"sealed", traceparent="00-1-2-3")
    assert await opened(store, an_opening(payment)) == [True]
    [view] = await store.attempts_of(payment.id)
    assert (view.number, view.processor, view.state) == (1, "default", "sending")
    assert view.requested_at_ms == NOW_MS
    assert view.explanation["reason"] == "cheapest"
    assert view.payment == payment


async def test_each_of_a_group_keeps_its_own_explanation_shared_or_not(store: Store) -> None:
    reasons = ["cheapest", "quickest", "cheapest", "cheaper-full"]
    payments = [a_payment() for _ in reasons]
    openings = [
        an_opening(payment, explanation=f'{{"reason": "{reason}", "offers": []}}')
        for payment, reason in zip(payments, reasons, strict=True)
    ]
    assert await opened(store, *openings) == [True] * 4
    views = [await store.attempts_of(payment.id) for payment in payments]
    assert [view.explanation["reason"] for [view] in views] == reasons


async def test_a_second_opening_is_told_what_stands(store: Store, database: Postgres) -> None:
    payment = a_payment()
    await store.open([an_opening(payment)])
    [standing] = await Store(database, "there").open([an_opening(payment)])
    assert isinstance(standing, Standing)
    [row] = standing.rows
    assert (row.state, row.turn, row.leased, row.payment) == ("sending", 1, True, payment)
    assert row.reason == "cheapest"


async def test_a_next_attempt_is_refused_while_one_lives(store: Store) -> None:
    payment = a_payment()
    await store.open([an_opening(payment)])
    for state in ("unknown", "parked"):
        await store.close([a_closing(payment, state)])
        assert await opened(store, an_opening(payment, 2, processor="fallback")) == [False]


async def test_a_next_attempt_is_opened_after_an_absent_one(store: Store) -> None:
    payment = a_payment()
    await store.open([an_opening(payment)])
    await store.close([a_closing(payment, "absent")])
    assert await opened(store, an_opening(payment, 2, processor="fallback")) == [True]
    assert await opened(store, an_opening(payment, 3)) == [False]


async def test_one_step_makes_an_attempt_absent_and_opens_the_next(store: Store) -> None:
    payment, other = a_payment(), a_payment()
    await store.open([an_opening(payment)])
    next_one = an_opening(payment, 2, processor="fallback", former_turn=1, former_note="500")
    assert await opened(store, next_one, an_opening(other)) == [True, True]
    first, second = await store.attempts_of(payment.id)
    assert (first.state, first.note, second.state) == ("absent", "500", "sending")


@pytest.mark.parametrize("wrong", ["turn", "owner", "state"])
async def test_that_step_does_nothing_for_one_that_is_no_longer_held(
    store: Store, database: Postgres, wrong: str
) -> None:
    payment = a_payment()
    await store.open([an_opening(payment)])
    if wrong == "state":
        await store.close([a_closing(payment, "unknown")])
    owner = Store(database, "there") if wrong == "owner" else store
    turn = 2 if wrong == "turn" else 1
    assert await opened(owner, an_opening(payment, 2, former_turn=turn)) == [False]
    [only] = await store.attempts_of(payment.id)
    assert only.state == ("unknown" if wrong == "state" else "sending")


async def test_an_older_epoch_writes_nothing(store: Store, database: Postgres) -> None:
    kept, dropped, late = a_payment(epoch=1), a_payment(), a_payment()
    await store.open([an_opening(late)])
    await database.execute("update reference.installation set epoch = 1")
    results = await store.open([an_opening(kept), an_opening(dropped)])
    assert results == [Opened(), Standing(())]
    assert await store.close([a_closing(late, "executed", settled_at_ms=NOW_MS)]) == [False]
    await store.note_conflict(dropped, ["amount"])
    assert await store.conflicts_of(dropped.id) == []
    async with database.transaction() as session:
        await purge(session)
    assert await store.attempts_of(kept.id) == []


@pytest.mark.parametrize("wrong", ["turn", "owner", "number", "settled"])
async def test_only_the_holder_closes_an_attempt(
    store: Store, database: Postgres, wrong: str
) -> None:
    payment = a_payment()
    await store.open([an_opening(payment)])
    if wrong == "settled":
        await store.close([a_closing(payment, "declined", settled_at_ms=NOW_MS)])
    closer = Store(database, "there") if wrong == "owner" else store
    closing = a_closing(
        payment,
        "executed",
        number=2 if wrong == "number" else 1,
        turn=2 if wrong == "turn" else 1,
        settled_at_ms=NOW_MS,
    )
    assert await closer.close([closing]) == [False]
    [view] = await store.attempts_of(payment.id)
    assert view.state == ("declined" if wrong == "settled" else "sending")


async def test_a_group_of_closings_tells_which_were_written(store: Store) -> None:
    held, lost = a_payment(), a_payment()
    await store.open([an_opening(held)])
    values = {"settled_at_ms": NOW_MS + 7, "fee_minor": 99, "requested_at_ms": NOW_MS - 3}
    closings = [a_closing(lost, "executed", **values), a_closing(held, "executed", **values)]
    assert await store.close(closings) == [False, True]
    [view] = await store.attempts_of(held.id)
    assert (view.requested_at_ms, view.settled_at_ms) == (NOW_MS - 3, NOW_MS + 7)
    assert (view.state, view.fee_minor) == ("executed", 99)


async def test_a_takeover_needs_an_expired_lease(store: Store, database: Postgres) -> None:
    payment = a_payment()
    there = Store(database, "there")
    await store.open([an_opening(payment)])
    [standing] = await there.open([an_opening(payment)])
    assert isinstance(standing, Standing)
    assert not await there.take_over(standing.rows[0])
    await database.execute("update routing.attempt set lease_until = now()")
    assert await there.take_over(standing.rows[0])
    assert not await there.take_over(standing.rows[0])
    assert await store.close([a_closing(payment, "absent")]) == [False]
    assert [view.state for view in await store.attempts_of(payment.id)] == ["unknown"]


async def test_a_claim_takes_what_is_due_and_unheld_once(store: Store, database: Postgres) -> None:
    due, later, sending, elsewhere = (a_payment() for _ in range(4))
    await store.open([an_opening(one) for one in (due, later, sending)])
    await store.open([an_opening(elsewhere, processor="fallback")])
    await store.close(
        [
            a_closing(due, "unknown"),
            a_closing(later, "unknown", ask_after_ms=60_000),
            a_closing(elsewhere, "unknown"),
        ]
    )
    [row] = await claimed(store)
    assert (row.payment, row.turn, row.asked, row.state) == (due, 2, 1, "unknown")
    assert await claimed(store) == []
    assert await store.close([a_closing(due, "unknown")]) == [False]
    assert await store.close([a_closing(due, "unknown", turn=2)]) == [True]
    assert [row.turn for row in await claimed(store)] == [3]


async def test_a_claim_takes_the_orphans_of_other_processes(
    store: Store, database: Postgres
) -> None:
    orphan, held = a_payment(), a_payment()
    await store.open([an_opening(orphan), an_opening(held)])
    there = Store(database, "there")
    assert await claimed(there) == []
    await database.execute("update routing.attempt set lease_until = now()")
    [row] = await claimed(there, held=(held.id,))
    assert (row.payment, row.turn) == (orphan, 2)
    assert [row.payment for row in await claimed(there)] == [held]


async def test_a_question_is_left_for_a_while_to_the_process_that_knows(
    store: Store, database: Postgres
) -> None:
    payment = a_payment()
    await store.open([an_opening(payment)])
    await store.close([a_closing(payment, "unknown")])
    assert await claimed(Store(database, "there"), grace_ms=60_000) == []
    assert len(await claimed(store, grace_ms=60_000)) == 1


async def test_two_processes_never_claim_the_same_attempt(store: Store, database: Postgres) -> None:
    payments = [a_payment() for _ in range(40)]
    await store.open([an_opening(one) for one in payments])
    await store.close([a_closing(one, "unknown") for one in payments])
    there = Store(database, "there")
    rounds = await asyncio.gather(*(claimed(one) for one in (store, there) * 4))
    ids = [row.payment.id for rows in rounds for row in rows]
    assert len(ids) == len(set(ids))
    assert len(ids) == 40


async def test_what_is_settled_and_not_posted_is_swept_ever_later(store: Store) -> None:
    payment, absent, asked = (a_payment() for _ in range(3))
    await store.open([an_opening(one) for one in (payment, absent, asked)])
    await store.close(
        [
            a_closing(payment, "executed", settled_at_ms=NOW_MS),
            a_closing(absent, "absent"),
            a_closing(asked, "unknown"),
        ]
    )
    assert {row.payment for row in await store.unposted(10)} == {payment, absent}
    await store.mark_posted([AttemptKey(absent.id, 1), AttemptKey(asked.id, 1)])
    await store.sweep_later([AttemptKey(payment.id, 1)], 60_000)
    assert await store.unposted(10) == []
    assert len(await claimed(store)) == 1


async def test_a_conflict_is_kept_once(store: Store) -> None:
    payment = a_payment(fingerprint=a_fingerprint(amount=2))
    await store.note_conflict(payment, ["amount"])
    await store.note_conflict(payment, ["amount"])
    [conflict] = await store.conflicts_of(payment.id)
    assert list(conflict.fields) == ["amount"]


async def test_of_a_payment_twice_in_one_group_one_alone_is_opened(store: Store) -> None:
    attempts = Attempts(store, groups_in_flight=1)
    payment, other = a_payment(), a_payment()
    wishes = [an_opening(payment), an_opening(other), an_opening(payment), an_opening(payment)]
    results = await asyncio.gather(*map(attempts.open, wishes))
    assert [isinstance(result, Opened) for result in results] == [True, True, False, False]


async def test_a_payment_that_the_database_refuses_fails_alone(store: Store) -> None:
    attempts = Attempts(store, groups_in_flight=1)
    good = [a_payment() for _ in range(5)]
    bad = a_payment(amount_minor=-1)
    wishes = [an_opening(one) for one in [*good[:3], bad, *good[3:]]]
    results = await asyncio.gather(*map(attempts.open, wishes), return_exceptions=True)
    assert [isinstance(result, Broken) for result in results] == [False] * 3 + [True] + [False] * 2


async def test_the_explanation_is_a_document_of_the_database(
    house: House, database: Postgres
) -> None:
    one = house()
    payment = a_payment()
    chosen = one.route._chosen(payment)
    await one.store.open([an_opening(payment, explanation=chosen.explained)])
    verdicts = await database.fetch_value(
        "select jsonb_path_query_array(explanation, '$.offers[*].verdict')::text"
        " from routing.attempt"
    )
    assert msgspec.json.decode(str(verdicts)) == ["chosen", "dearer"]
