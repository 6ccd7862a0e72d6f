"""What is the Kafka engine's own: URLs, topics, partitions that move, claims beside the log."""

import asyncio
from collections.abc import Sequence

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from tests import brokers
from tests.contracts.kafka_world import KafkaServers, KafkaWorld
from tests.contracts.servers import LOG, StreamServer, program_of
from tests.contracts.worlds import a_claim, a_record, numbers_of, records

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.engines.claimed import ClaimedIntake
from voltpay.foundation.engines.kafka.connect import config_of
from voltpay.foundation.engines.kafka.consumer import KafkaConsumer
from voltpay.foundation.engines.kafka.log import KafkaLog
from voltpay.foundation.engines.kafka.making import Copies
from voltpay.foundation.engines.log_errors import LogAway
from voltpay.foundation.seams.intake import Claimed
from voltpay.foundation.seams.log import Delivery, Record


async def a_prepared_log(world: KafkaWorld, *, instance: str = "one") -> KafkaLog:
    log = world.log(instance=instance)
    await log.prepare()
    return log


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("kafka://one:9092,two:9093", {"bootstrap.servers": "one:9092,two:9093"}),
        ("kafka://one:9092", {"security.protocol": "plaintext"}),
        ("kafka://one:9092?tls=1", {"security.protocol": "ssl"}),
        ("kafka://one:9092?ca=/etc/ca.pem", {"ssl.ca.location": "/etc/ca.pem"}),
        (
            "kafka://anna:p%40ss@one:9092?tls=1",
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "anna",
                "sasl.password": "p@ss",
            },
        ),
        ("kafka://a:b@one:9092?mechanism=PLAIN", {"sasl.mechanism": "PLAIN"}),
    ],
)
def test_a_url_says_how_to_reach_the_cluster(url: str, told: dict[str, str]) -> None:
    config = config_of(url)
    assert {name: config[name] for name in told} == told


@pytest.mark.parametrize(
    "url",
    [
        "kafka://",
        "kafka://one",
        "kafka://one:port",
        "kafka://one:9092,two",
        "kafka://one:9092?colour=red",
        "kafka://a:b@one:9092?mechanism=GSSAPI",
        "redis://one:9092",
    ],
)
def test_a_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|mechanism|Port|port"):
        config_of(url)


async def test_a_topic_that_would_delete_what_is_unread_is_refused(
    kafka_world: KafkaWorld,
) -> None:
    address = kafka_world.servers.brokers.addresses[0]
    wanted = NewTopic(f"{kafka_world.prefix}high", 4, 1, config={"retention.ms": "1000"})
    made = AdminClient({"bootstrap.servers": address}).create_topics([wanted])
    await asyncio.to_thread(made[wanted.topic].result)
    with pytest.raises(Misconfigured, match=r"high has retention.ms 1000: set retention.ms -1"):
        await kafka_world.log().prepare()


async def test_more_copies_than_brokers_are_refused(kafka_world: KafkaWorld) -> None:
    with pytest.raises(Misconfigured, match=r"no brokers for 3 copies.*VOLTPAY_KAFKA__REPLICATION"):
        await kafka_world.log(copies=Copies(3, 2)).prepare()


async def test_what_is_durable_is_read_back(kafka_world: KafkaWorld) -> None:
    log = await a_prepared_log(kafka_world)
    told = await log.durability()
    assert told["retention.ms"] == "-1"
    assert told["min.insync.replicas"] == "1"


async def test_an_append_stays_together_and_the_next_goes_elsewhere(
    kafka_world: KafkaWorld,
) -> None:
    log = await a_prepared_log(kafka_world)
    for _ in range(4):
        await log.append(records("high", range(25)))
    taken = await log.shared("high", "workers").take(1_000, 0)
    by_partition = {number: [] for number in range(4)}
    for one in taken:
        by_partition[one.partition].append(int(one.body))
    assert list(by_partition.values()) == [list(range(25))] * 4


async def test_a_member_that_joins_gets_its_share_and_nothing_comes_twice(
    kafka_world: KafkaWorld,
) -> None:
    log = await a_prepared_log(kafka_world)
    await log.append([a_record("facts", n, key=f"account-{n % 40}") for n in range(400)])
    one = log.ordered("facts", "books")
    first = list(await one.take(400, 0))
    assert len(first) == 400
    two = kafka_world.log(instance="two").ordered("facts", "books")
    joining = asyncio.create_task(took(two, 0.5))
    await asyncio.sleep(1.5)
    # What goes waits for what was taken of it.
    assert await joining == []
    await one.finish(first, [])
    await log.append([a_record("facts", n, key=f"account-{n % 40}") for n in range(400, 800)])
    later: list[Delivery] = []
    for _ in range(60):
        for member in (one, two):
            taken = await member.take(400, 100)
            await member.finish(taken, [])
            later += taken
        if len(later) >= 400 and one.owned and two.owned:
            break
    assert sorted(numbers_of(later)) == list(range(400, 800))
    assert one.owned | two.owned == {0, 1, 2, 3}
    assert not one.owned & two.owned


async def took(consumer: KafkaConsumer, seconds: float) -> Sequence[Delivery]:
    return await consumer.take(100, int(seconds * 1000))


async def test_a_cluster_that_speaks_the_classic_protocol_only_is_spoken_to_so() -> None:
    libs = brokers.jars()
    if libs is None:
        pytest.skip(brokers.HOW_TO_GET)
    settings = {"group.coordinator.rebalance.protocols": "classic"}
    program = program_of("valkey")
    assert program is not None
    servers = KafkaServers(libs, StreamServer(program, LOG), **settings)
    try:
        servers.empty()
        world = KafkaWorld(servers)
        log = await a_prepared_log(world)
        await log.append(records("high", range(50)))
        consumer = log.shared("high", "workers")
        taken: list[Delivery] = []
        for _ in range(100):
            taken += await consumer.take(50, 100)
            if len(taken) == 50:
                break
        assert numbers_of(taken) == list(range(50))
        await consumer.finish(taken, [])
        assert await log.backlog("high", "workers") == 0
        assert consumer.reader.speaks_classic
        await world.close()
    finally:
        servers.remove()


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
