"""The contract of Intake."""

import asyncio
from uuid import uuid4

import pytest
from tests.contracts.worlds import LogWorld, WholeLog, a_claim

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.payment import Fingerprint
from voltpay.foundation.seams.intake import Claimed, StaleEpoch
from voltpay.foundation.seams.log import Record


async def a_prepared_log(world: LogWorld) -> WholeLog:
    log = world.log()
    await log.prepare()
    return log


async def test_a_new_claim_is_accepted_and_its_record_appended(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    claims = [a_claim() for _ in range(3)]
    assert list(await world.intake().accept(claims, 0)) == [None, None, None]
    taken = await log.shared("high", "workers").take(10, 0)
    assert [one.body for one in taken] == [claim.record.body for claim in claims]


async def test_what_was_accepted_survives_the_death_of_the_server(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    claim = a_claim()
    intake = world.intake()
    await intake.accept([claim], 0)
    await world.kill()
    world.start()
    assert list(await intake.find([claim.id])) == [Claimed(claim.fingerprint, 7)]
    assert await log.backlog("high", "workers") == 1


async def test_the_first_claim_of_an_id_wins(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    payment_id = uuid4()
    first = a_claim(payment_id, fingerprint=b"\x00one\xff", accepted_at_ms=1_700_000_000_123)
    second = a_claim(payment_id, fingerprint=b"two", accepted_at_ms=9)
    intake = world.intake()
    assert list(await intake.accept([first], 0)) == [None]
    fresh = a_claim()
    stands = Claimed(Fingerprint(b"\x00one\xff"), 1_700_000_000_123)
    assert list(await intake.accept([second, fresh], 0)) == [stands, None]
    assert await log.backlog("high", "workers") == 2


async def test_the_same_id_twice_in_one_call_is_accepted_once(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    payment_id = uuid4()
    claims = [a_claim(payment_id, fingerprint=b"one"), a_claim(payment_id, fingerprint=b"two")]
    stands = Claimed(Fingerprint(b"one"), 7)
    assert list(await world.intake().accept(claims, 0)) == [None, stands]
    assert await log.backlog("high", "workers") == 1


async def test_of_a_hundred_at_once_one_wins(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    payment_id = uuid4()
    claims = [a_claim(payment_id, fingerprint=bytes([number])) for number in range(100)]
    intakes = [world.intake() for _ in range(4)]
    answers = await asyncio.gather(
        *(intakes[number % 4].accept([claim], 0) for number, claim in enumerate(claims))
    )
    winners = [number for number, (answer,) in enumerate(answers) if answer is None]
    assert len(winners) == 1
    stands = Claimed(Fingerprint(bytes(winners)), 7)
    assert [answer for (answer,) in answers].count(stands) == 99
    assert await log.backlog("high", "workers") == 1


async def test_find_tells_what_stands_and_what_does_not(world: LogWorld) -> None:
    await a_prepared_log(world)
    intake = world.intake()
    claim = a_claim()
    await intake.accept([claim], 0)
    unknown = PaymentId(uuid4())
    assert list(await intake.find([unknown, claim.id])) == [None, Claimed(claim.fingerprint, 7)]
    assert list(await intake.find([])) == []


async def test_another_epoch_is_stale_and_nothing_is_done(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    intake = world.intake()
    claim = a_claim()
    assert await intake.epoch() == 0
    with pytest.raises(StaleEpoch):
        await intake.accept([claim], 1)
    assert list(await intake.find([claim.id])) == [None]
    assert await log.backlog("high", "workers") == 0


async def test_an_intake_that_is_away_says_so_and_recovers(world: LogWorld) -> None:
    await a_prepared_log(world)
    intake = world.intake()
    await intake.accept([a_claim()], 0)
    await world.kill()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await intake.accept([a_claim()], 0)
    with pytest.raises(Unavailable):
        await intake.epoch()
    world.start()
    assert list(await intake.accept([a_claim()], 0)) == [None]


async def test_a_slow_log_is_given_up_and_never_answers_another_call(world: LogWorld) -> None:
    await a_prepared_log(world)
    intake = world.intake(append_timeout_ms=1_500)
    slow, later = a_claim(), a_claim(fingerprint=b"later")
    patient = world.intake()
    await patient.accept([later], 0)
    world.pause()
    try:
        with pytest.raises(Unavailable, match="1500 ms"):
            await intake.accept([slow], 0)
    finally:
        world.go_on()
    assert await patient.epoch() == 0
    assert list(await intake.find([later.id])) == [Claimed(Fingerprint(b"later"), 7)]
    assert list(await intake.accept([a_claim()], 0)) == [None]


async def test_a_cancelled_call_leaves_its_answer_to_nobody(world: LogWorld) -> None:
    await a_prepared_log(world)
    intake = world.intake()
    known = a_claim()
    await intake.accept([known], 0)
    for number in range(40):
        cancelled = asyncio.create_task(intake.epoch())
        await asyncio.sleep(0.00005 * number)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert list(await intake.find([known.id])) == [Claimed(known.fingerprint, 7)]


async def test_what_was_promised_and_not_settled_is_told(world: LogWorld) -> None:
    log = await a_prepared_log(world)
    claims = [a_claim() for _ in range(1_500)]
    intake = world.intake()
    await intake.accept(claims, 0)
    settled = claims[700]
    fact = Record("facts", "a", settled.record.message, settled.record.body, str(settled.id))
    await log.append([fact])
    found = {each async for page in intake.open_claims() for each in page}
    assert found == {claim.id for claim in claims} - {settled.id}
