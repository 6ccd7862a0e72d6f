"""Claims beside a log: what a crash between claim and append leaves, and what an outage does."""

from collections.abc import Sequence

import pytest
from tests.contracts.kafka_world import KafkaWorld
from tests.contracts.worlds import a_claim, a_record

from voltpay.core.errors import Unavailable
from voltpay.foundation.engines.claimed import ClaimedIntake
from voltpay.foundation.engines.kafka.log import KafkaLog
from voltpay.foundation.engines.log_errors import LogAway
from voltpay.foundation.seams.intake import Claimed
from voltpay.foundation.seams.log import Record


async def a_prepared_log(world: KafkaWorld) -> KafkaLog:
    log = world.log()
    await log.prepare()
    return log


async def test_a_repeat_of_a_claim_whose_append_failed_is_appended(
    kafka_world: KafkaWorld,
) -> None:
    log = await a_prepared_log(kafka_world)

    async def fails(_: Sequence[Record]) -> None:
        raise LogAway("it is away")

    claim, other = a_claim(fingerprint=b"one"), b"two"
    with pytest.raises(Unavailable):
        await ClaimedIntake(kafka_world.claims(), fails).accept([claim], 0)
    assert await log.backlog("high", "workers") == 0
    intake = kafka_world.intake()
    stands = Claimed(claim.fingerprint, 7)
    assert list(await intake.accept([a_claim(claim.id, fingerprint=other)], 0)) == [stands]
    assert await log.backlog("high", "workers") == 0
    assert list(await intake.accept([claim], 0)) == [stands]
    assert await log.backlog("high", "workers") == 1
    assert list(await intake.accept([claim], 0)) == [stands]
    assert await log.backlog("high", "workers") == 1
    assert kafka_world.life_of_claim_s(claim.id) is None


async def test_a_claim_that_waits_for_its_append_goes_by_itself(kafka_world: KafkaWorld) -> None:
    await a_prepared_log(kafka_world)

    async def fails(_: Sequence[Record]) -> None:
        raise LogAway("it is away")

    claim = a_claim()
    with pytest.raises(Unavailable):
        await ClaimedIntake(kafka_world.claims(), fails).accept([claim], 0)
    life_s = kafka_world.life_of_claim_s(claim.id)
    assert life_s is not None
    assert 500 < life_s <= 600
    open_ones = [one async for page in kafka_world.intake().open_claims() for one in page]
    assert open_ones == []


async def test_while_the_claims_are_away_payments_are_accepted(kafka_world: KafkaWorld) -> None:
    log = await a_prepared_log(kafka_world)
    intake = kafka_world.intake()
    assert await intake.epoch() == 0
    kafka_world.servers.claims.kill()
    claim = a_claim()
    assert list(await intake.accept([claim], 0)) == [None]
    assert list(await intake.accept([claim], 0)) == [None]
    assert await intake.epoch() == 0
    assert not await intake.is_full()
    with pytest.raises(Unavailable):
        await intake.find([claim.id])
    assert await log.backlog("high", "workers") == 2


async def test_the_same_id_twice_in_a_group_while_the_claims_are_away(
    kafka_world: KafkaWorld,
) -> None:
    log = await a_prepared_log(kafka_world)
    intake = kafka_world.intake()
    assert await intake.epoch() == 0
    kafka_world.servers.claims.kill()
    claim = a_claim(fingerprint=b"one")
    other = a_claim(claim.id, fingerprint=b"two")
    assert list(await intake.accept([claim, claim, claim], 0)) == [None] * 3
    assert await log.backlog("high", "workers") == 1
    assert list(await intake.accept([claim, other, claim], 0)) == [None] * 3
    assert await log.backlog("high", "workers") == 3


async def test_claims_that_could_not_be_closed_are_closed_later(kafka_world: KafkaWorld) -> None:
    log = await a_prepared_log(kafka_world)
    claims = [a_claim() for _ in range(2)]
    await kafka_world.intake().accept(claims, 0)
    kafka_world.servers.claims.kill()
    await log.append([a_record("facts", 1, key="a", closes=str(claims[0].id))])
    kafka_world.servers.claims.start()
    assert kafka_world.life_of_claim_s(claims[0].id) is None
    await log.append([a_record("facts", 2, key="a", closes=str(claims[1].id))])
    assert kafka_world.life_of_claim_s(claims[0].id) is not None
    assert kafka_world.life_of_claim_s(claims[1].id) is not None
