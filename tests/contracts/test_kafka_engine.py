"""What is the Kafka engine's own: URLs, topics, partitions that move, claims beside the log."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)
from msgspec.structs import replace
from tests import brokers
from tests.contracts.kafka_world import KafkaServers, KafkaWorld
from tests.contracts.servers import LOG, StreamServer, program_of
from tests.contracts.worlds import a_payment, a_record, numbers_of, records

from voltpay.core.codec import encode
from voltpay.core.errors import Misconfigured
from voltpay.core.messages import Message, PaymentAccepted
from voltpay.foundation.engines.kafka.checks import Copies
from voltpay.foundation.engines.kafka.connect import config_of
from voltpay.foundation.engines.kafka.consumer import KafkaConsumer
from voltpay.foundation.engines.kafka.log import KafkaLog
from voltpay.foundation.engines.log_errors import LogAway
from voltpay.foundation.runtime.batch_loop import BatchLimits, BatchLoop
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.clock import SystemChance, SystemClock
from voltpay.foundation.seams.log import Delivery


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
    admin = AdminClient({"bootstrap.servers": address})
    await asyncio.to_thread(admin.create_topics([wanted])[wanted.topic].result)
    with pytest.raises(Misconfigured, match=r"high has retention.ms 1000: set retention.ms -1"):
        await kafka_world.log().prepare()


async def test_a_log_as_it_was_prepared_passes_a_check(
    kafka_world: KafkaWorld,
) -> None:
    await (await a_prepared_log(kafka_world)).check()


async def test_claims_that_could_be_lost_are_told_by_a_check(kafka_world: KafkaWorld) -> None:
    log = await a_prepared_log(kafka_world)
    ask = kafka_world.servers.claims.ask
    ask("CONFIG", "SET", "appendfsync", "everysec")
    try:
        with pytest.raises(Misconfigured, match="appendfsync"):
            await log.check()
    finally:
        ask("CONFIG", "SET", "appendfsync", "always")
    await log.check()


async def test_a_topic_that_was_changed_since_is_told_by_a_check(kafka_world: KafkaWorld) -> None:
    log = await a_prepared_log(kafka_world)
    admin = AdminClient({"bootstrap.servers": kafka_world.servers.brokers.addresses[0]})
    changed = ConfigResource(
        ConfigResource.Type.TOPIC,
        f"{kafka_world.prefix}facts",
        incremental_configs=[
            ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET)
        ],
    )
    await asyncio.to_thread(admin.incremental_alter_configs([changed])[changed].result)
    with pytest.raises(Misconfigured, match=r"facts has cleanup\.policy compact"):
        await log.check()


async def test_partitions_on_too_few_brokers_are_told_by_a_check(kafka_world: KafkaWorld) -> None:
    log = kafka_world.log(copies=Copies(1, 2))
    await log.prepare()
    with pytest.raises(LogAway, match=r"on fewer than 2 brokers: start those that are away"):
        await log.check()


async def test_more_copies_than_brokers_are_refused(kafka_world: KafkaWorld) -> None:
    with pytest.raises(Misconfigured, match=r"no brokers for 3 copies.*VOLTPAY_KAFKA__REPLICATION"):
        await kafka_world.log(copies=Copies(3, 2)).prepare()


async def test_topics_that_were_made_with_fewer_copies_are_refused(kafka_world: KafkaWorld) -> None:
    await a_prepared_log(kafka_world)
    log = kafka_world.log(copies=Copies(2, 1))
    for asked in (log.prepare, log.check):
        with pytest.raises(Misconfigured, match=r"copies of topic .*high: 1, the settings say 2"):
            await asked()


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


async def test_a_position_before_the_oldest_record_is_no_backlog(kafka_world: KafkaWorld) -> None:
    log = await a_prepared_log(kafka_world)
    await log.append(records("high", range(10)))
    (number,) = (number for number, end in (await log.ends("high")).items() if end)
    await move_group(kafka_world, number, 10)
    assert await log.trim() == 10
    # As when a group is set back while the trimmer deletes what it had finished before.
    await move_group(kafka_world, number, 3)
    assert (await log.committed("high", "workers"))[number] == 3
    assert await log.backlog("high", "workers") == 0
    assert [page async for page in log.unfinished("high", "workers")] == []
    consumer = log.shared("high", "workers")
    assert list(await consumer.take(20, 0)) == []
    await log.append(records("high", [99]))
    assert numbers_of(await consumer.take(20, 10_000)) == [99]


async def move_group(world: KafkaWorld, partition: int, position: int) -> None:
    """Set the workers' position on the topic high, which nobody reads just now."""
    admin = AdminClient({"bootstrap.servers": world.servers.brokers.addresses[0]})
    mark = TopicPartition(f"{world.prefix}high", partition, position)
    asked = ConsumerGroupTopicPartitions(f"{world.prefix}workers.high", [mark])
    (moved,) = admin.alter_consumer_group_offsets([asked]).values()
    told = await asyncio.to_thread(moved.result)
    assert told.topic_partitions[0].error is None


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


class Shelf:
    """A batch stage that notes what it owns and handles, and refuses what it does not own."""

    def __init__(self) -> None:
        self.owned: set[int] = set()
        self.handled: list[tuple[int, int]] = []

    async def own(self, partitions: Iterable[int]) -> frozenset[int]:
        self.owned |= set(partitions)
        return frozenset(partitions)

    async def release(self, partitions: Iterable[int]) -> None:
        self.owned -= set(partitions)

    async def __call__(self, batch: Sequence[Taken]) -> Sequence[Message]:
        assert {one.partition for one in batch} <= self.owned
        self.handled += [(one.partition, one.position) for one in batch]
        return []


async def until(question: Callable[[], bool]) -> None:
    for _ in range(300):
        if question():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("in vain")


async def test_loops_of_two_processes_own_partitions_of_their_own(
    kafka_world: KafkaWorld,
) -> None:
    log = await a_prepared_log(kafka_world)
    body = encode(PaymentAccepted(a_payment()))
    facts = [replace(a_record("facts", key=f"account-{n}"), body=body) for n in range(200)]
    shelves, stop = [Shelf(), Shelf()], asyncio.Event()
    loops = [
        BatchLoop(
            "shelf",
            shelf,
            source.ordered("facts", "books"),
            lambda _: [],
            clock=SystemClock(),
            chance=SystemChance(),
            limits=BatchLimits(),
        )
        for shelf, source in zip(shelves, (log, kafka_world.log(instance="two")), strict=True)
    ]
    one, two = shelves
    running = [asyncio.create_task(loops[0].run(stop))]
    await log.append(facts)
    await until(lambda: len(one.handled) == 200 and one.owned == {0, 1, 2, 3})
    running.append(asyncio.create_task(loops[1].run(stop)))
    await until(lambda: bool(two.owned) and not one.owned & two.owned)
    await log.append(facts)
    await until(lambda: len(one.handled) + len(two.handled) >= 400)
    stop.set()
    await asyncio.gather(*running)
    assert two.handled
    assert one.handled[200:]
    handled = [*one.handled, *two.handled]
    assert len(set(handled)) == len(handled) == 400
    for shelf in shelves:
        for number in range(4):
            positions = [position for partition, position in shelf.handled if partition == number]
            assert positions == sorted(positions)
    assert one.owned == two.owned == set()
