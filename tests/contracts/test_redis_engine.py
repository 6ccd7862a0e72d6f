"""What is the Redis engine's own: names, positions, scripts, and how it keeps house."""

import asyncio
from uuid import UUID

import pytest
import redis
from prometheus_client import generate_latest
from tests.contracts.worlds import ALIVE_MS, RedisWorld, a_claim, a_record, numbers_of, records

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.partition import partition_of
from voltpay.foundation.engines.redis.cache import CacheAway, RedisCache
from voltpay.foundation.engines.redis.log import RedisLog
from voltpay.foundation.engines.redis.names import (
    claim_key,
    claim_key_of,
    cursor_text,
    id_of,
    position_of,
    position_of_cursor,
)
from voltpay.foundation.engines.redis.shared import SharedConsumer
from voltpay.foundation.seams.cache import Entry
from voltpay.foundation.seams.log import Delivery, Record


async def a_prepared_log(world: RedisWorld) -> RedisLog:
    log = world.log()
    await log.prepare()
    return log


def facts(count: int, *, keys: int = 1) -> list[Record]:
    return [a_record("facts", number, key=f"account-{number % keys}") for number in range(count)]


@pytest.mark.parametrize(
    ("key", "partition"), [("123456789", 62), ("account-1", 80), ("anna", 63), ("zoë", 64)]
)
def test_a_key_has_the_same_partition_for_good(key: str, partition: int) -> None:
    assert partition_of(key, 100) == partition


@pytest.mark.parametrize(
    ("stream_id", "position"),
    [
        (b"0-0", 0),
        (b"0-1", 1),
        (b"1-0", 1_048_576),
        (b"1763690000000-1048575", 1763690000001 * 1_048_576 - 1),
        (b"8796093022207-1048575", 2**63 - 1),
    ],
)
def test_a_stream_id_is_a_position_and_back(stream_id: bytes, position: int) -> None:
    assert position_of(stream_id) == position
    assert id_of(position).encode() == stream_id
    assert position_of_cursor(cursor_text(position).encode()) == position


def test_cursors_compare_like_their_positions() -> None:
    positions = [0, 1, 9, 10, 1_048_575, 1_048_576, 2**53, 2**53 + 1, 2**62, 2**63 - 1]
    assert sorted(map(cursor_text, positions)) == [cursor_text(one) for one in positions]


def test_a_claim_has_one_key_by_text_and_by_value() -> None:
    payment_id = UUID("6f2a4c4e-5d0f-5c0a-9a39-0c9b7f1d2e55")
    assert claim_key(str(payment_id)) == claim_key_of(payment_id)


async def test_sequences_stay_small_when_the_clock_was_set_back(redis_world: RedisWorld) -> None:
    log = redis_world.log()
    await log.prepare()
    ahead = 4_000_000_000_000
    redis_world.ask("XADD", "log:high", f"{ahead}-600000", "b", "0")
    await log.append(records("high", [1]))
    await log.append(records("high", [2]))
    await redis_world.intake().accept([a_claim()], 0)
    taken = await log.shared("high", "workers").take(10, 0)
    first, second, third, fourth = (id_of(one.position) for one in taken)
    assert (first, second) == (f"{ahead}-600000", f"{ahead}-600001")
    assert (third, fourth) == (f"{ahead + 1}-1", f"{ahead + 1}-2")
    assert await log.backlog("high", "workers") == 4


async def test_scripts_are_loaded_again_when_the_server_forgot_them(
    redis_world: RedisWorld,
) -> None:
    log = redis_world.log()
    await log.prepare()
    await log.append(records("high", [1]))
    redis_world.ask("SCRIPT", "FLUSH")
    await log.append(records("high", [2]))
    assert await log.backlog("high", "workers") == 2


async def test_dead_consumers_go_when_nothing_is_pending_on_them(redis_world: RedisWorld) -> None:
    log = redis_world.log()
    await log.prepare()
    await log.append(records("high", [1]))
    idle, holding = log.shared("high", "workers"), log.shared("high", "workers")
    await holding.take(1, 0)
    await idle.take(1, 0)
    await log.append(records("high", [2]))
    await idle.finish(await idle.take(1, 0), [])
    assert len(redis_world.ask("XINFO", "CONSUMERS", "log:high", "workers")) == 2
    await redis_world.vanish(idle)
    await redis_world.vanish(holding)
    watching = redis_world.log(instance="two").shared("high", "workers")
    taken: list[Delivery] = []
    for _ in range(200):
        taken += await watching.take(10, ALIVE_MS // 4)
        names = redis_world.ask("XINFO", "CONSUMERS", "log:high", "workers")
        if taken and len(names) == 1:
            break
    assert numbers_of(taken) == [1]
    (left,) = names
    assert left["name" if "name" in left else b"name"].startswith(b"two:")


async def test_nobody_is_taken_for_dead_just_after_the_server_was_away(
    redis_world: RedisWorld,
) -> None:
    alive_ms = 2_000
    log = redis_world.log(alive_ms=alive_ms)
    await log.prepare()
    await log.append(records("high", range(3)))
    one, other = log.shared("high", "workers"), log.shared("high", "workers")
    await one.take(3, 0)
    assert list(await other.take(3, alive_ms + ALIVE_MS)) == []
    await redis_world.kill()
    await asyncio.sleep(alive_ms / 1000)
    redis_world.start()
    await asyncio.sleep(ALIVE_MS / 2000)
    await redis_world.vanish(one)
    for key in redis_world.ask("KEYS", "alive:*"):
        redis_world.ask("DEL", key)
    assert list(await other.take(3, ALIVE_MS // 4)) == []
    assert numbers_of(await other.take(3, 4 * alive_ms)) == [0, 1, 2]


async def test_a_silent_owner_stops_being_alive(redis_world: RedisWorld) -> None:
    consumer = redis_world.log().shared("high", "workers")
    assert isinstance(consumer, SharedConsumer)
    heart = consumer._heart
    await heart.begin()
    heart._used_at -= 120
    await until_exists(redis_world, heart._key, 0)
    heart.use()
    await until_exists(redis_world, heart._key, 1)


async def until_exists(world: RedisWorld, key: str, wanted: int) -> None:
    for _ in range(100):
        if world.ask("EXISTS", key) == wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("in vain")


async def test_an_idle_take_writes_nothing(redis_world: RedisWorld) -> None:
    log = redis_world.log(alive_ms=60_000)
    await log.prepare()
    consumer, ordered = log.shared("high", "workers"), log.ordered("facts", "books")
    await consumer.take(1, 0)
    before = redis_world.ask("INFO", "persistence")["aof_current_size"]
    for _ in range(20):
        await consumer.take(1, 1)
        await ordered.take(1, 1)
    assert redis_world.ask("INFO", "persistence")["aof_current_size"] == before


async def test_a_finish_of_thousands_is_one_call(redis_world: RedisWorld) -> None:
    log = redis_world.log()
    await log.prepare()
    await log.append(records("high", range(6_000)))
    consumer = log.shared("high", "workers")
    taken = await consumer.take(6_000, 0)
    assert len(taken) == 6_000
    await consumer.failed(taken[5_999])
    await consumer.finish(taken, [a_record("low", n, closes="") for n in range(6_000)])
    assert await log.backlog("high", "workers") == 0
    assert await log.backlog("low", "workers") == 6_000
    assert await consumer.failed(taken[5_999]) == 1


async def test_a_cache_exports_its_evictions_and_memory(cache_url: str) -> None:
    cache = RedisCache(cache_url)
    await cache.observe()
    text = generate_latest().decode()
    assert "voltpay_redis_cache_evicted 0.0" in text
    assert "voltpay_redis_cache_bytes" in text
    await cache.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("appendfsync", "everysec"), ("maxmemory", "0"), ("maxmemory-policy", "allkeys-lru")],
)
async def test_a_server_that_could_lose_an_append_is_refused_by_name(
    log_url: str, name: str, value: str
) -> None:
    log = RedisLog(log_url, topics=[], partitions=1, instance="test")
    with redis.Redis.from_url(log_url) as client:
        before = client.config_get(name)[name]
        await log.prepare()
        client.config_set(name, value)
        try:
            with pytest.raises(Misconfigured, match=name):
                await log.prepare()
        finally:
            client.config_set(name, before)
    await log.close()


async def test_a_cache_that_refuses_is_as_good_as_away(cache_url: str) -> None:
    cache = RedisCache(cache_url, pause_ms=0)
    entry = Entry("key", 1, b"value", 1_000)
    with redis.Redis.from_url(cache_url) as client:
        client.execute_command("ACL", "SETUSER", "default", "-evalsha", "-eval")
        try:
            with pytest.raises(CacheAway):
                await cache.put_if_newer([entry])
        finally:
            client.execute_command("ACL", "SETUSER", "default", "+evalsha", "+eval")
    assert await cache.put_if_newer([entry]) == [True]
    await cache.close()


async def test_a_cursor_moves_forward_only(redis_world: RedisWorld) -> None:
    log = await a_prepared_log(redis_world)
    await log.append(facts(6))
    deposed, owner = log.ordered("facts", "books"), log.ordered("facts", "books")
    old = await deposed.take(3, 0)
    await owner.finish(await owner.take(10, 0), [])
    ahead = await log.positions("facts", "books")
    await deposed.finish(old, [])
    assert await log.positions("facts", "books") == ahead
    assert await log.backlog("facts", "books") == 0


async def test_the_backlog_stays_exact_when_two_finish_the_same(redis_world: RedisWorld) -> None:
    log = await a_prepared_log(redis_world)
    await log.append(facts(10))
    one, two = log.ordered("facts", "books"), log.ordered("facts", "books")
    of_one, of_two = await one.take(10, 0), await two.take(10, 0)
    await one.finish(of_one[:3], [])
    await two.finish(of_two[:5], [])
    await one.finish(of_one[3:4], [])
    assert await log.backlog("facts", "books") == 5
    await one.finish(of_one[4:], [])
    assert await log.backlog("facts", "books") == 0


async def test_an_append_before_prepare_is_delivered_all_the_same(redis_world: RedisWorld) -> None:
    log = redis_world.log()
    await log.append(records("high", [1]))
    await log.prepare()
    assert numbers_of(await log.shared("high", "workers").take(10, 0)) == [1]


async def test_a_drained_log_takes_fewer_partitions(redis_world: RedisWorld) -> None:
    log = await a_prepared_log(redis_world)
    await log.append(facts(30, keys=9))
    for group in ("books", "views"):
        consumer = log.ordered("facts", group)
        await consumer.finish(await consumer.take(30, 0), [])
    other = redis_world.log(partitions=2)
    await other.prepare()
    await other.append(facts(30, keys=9))
    taken = await other.ordered("facts", "books").take(30, 0)
    assert sorted(numbers_of(taken)) == list(range(30))
    assert {one.partition for one in taken} <= {0, 1}


async def test_what_is_finished_out_of_turn_is_known_at_once(redis_world: RedisWorld) -> None:
    log = await a_prepared_log(redis_world)
    await log.append(records("high", range(10)))
    consumer = log.shared("high", "workers")
    first, second = await consumer.take(2, 0)
    await consumer.finish([second], [])
    assert await log.backlog("high", "workers") == 9
    left = [body async for page in log.unfinished("high", "workers") for body in page]
    assert first.body in left
    assert len(left) == 9
