"""The contract of Cache."""

import asyncio
import random
from itertools import pairwise

import pytest
from tests.contracts.worlds import CacheWorld

from voltpay.core.errors import Unavailable
from voltpay.foundation.seams.cache import Entry

VERSIONS = [0, 1, 255, 256, 2**31, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**62, 2**63 - 1, 2**63]


def an_entry(version: int, *, key: str = "a", value: bytes = b"", ttl_ms: int = 60_000) -> Entry:
    return Entry(key, version, value or f"value {version}".encode(), ttl_ms)


async def test_what_is_put_is_got_with_its_version(cache_world: CacheWorld) -> None:
    cache = cache_world.cache()
    binary = bytes(range(256))
    entries = [an_entry(5, value=binary), an_entry(7, key="b")]
    assert list(await cache.put_if_newer(entries)) == [True, True]
    found = await cache.get(["b", "nothing", "a"])
    assert list(found) == [(7, b"value 7"), None, (5, binary)]


async def test_an_older_version_is_refused_and_an_equal_one_replaces(
    cache_world: CacheWorld,
) -> None:
    cache = cache_world.cache()
    await cache.put_if_newer([an_entry(5)])
    entries = [an_entry(4), an_entry(5, value=b"again")]
    assert list(await cache.put_if_newer(entries)) == [False, True]
    assert list(await cache.get(["a"])) == [(5, b"again")]


async def test_versions_are_compared_exactly_up_to_two_to_the_63(cache_world: CacheWorld) -> None:
    cache = cache_world.cache()
    for lower, higher in pairwise(VERSIONS):
        key = str(higher)
        up = [an_entry(lower, key=key), an_entry(higher, key=key)]
        assert list(await cache.put_if_newer(up)) == [True, True]
        assert list(await cache.put_if_newer([an_entry(lower, key=key)])) == [False]
        assert list(await cache.get([key])) == [(higher, f"value {higher}".encode())]


async def test_a_tombstone_refuses_what_is_older_and_hides_the_value(
    cache_world: CacheWorld,
) -> None:
    cache = cache_world.cache()
    await cache.put_if_newer([an_entry(5)])
    await cache.drop([("a", 6)])
    assert list(await cache.get(["a"])) == [None]
    assert list(await cache.put_if_newer([an_entry(5)])) == [False]
    assert list(await cache.get(["a"])) == [None]
    assert list(await cache.put_if_newer([an_entry(6)])) == [True]
    assert list(await cache.get(["a"])) == [(6, b"value 6")]


async def test_a_drop_leaves_a_newer_value(cache_world: CacheWorld) -> None:
    cache = cache_world.cache()
    await cache.put_if_newer([an_entry(7)])
    await cache.drop([("a", 6), ("never put", 2)])
    assert list(await cache.get(["a"])) == [(7, b"value 7")]
    assert list(await cache.put_if_newer([an_entry(1, key="never put")])) == [False]


async def test_a_lower_tombstone_does_not_replace_a_higher_one(cache_world: CacheWorld) -> None:
    cache = cache_world.cache()
    await cache.drop([("a", 9), ("a", 3)])
    assert list(await cache.put_if_newer([an_entry(8)])) == [False]


async def test_values_and_tombstones_expire(cache_world: CacheWorld) -> None:
    cache = cache_world.cache(tombstone_ms=50)
    await cache.put_if_newer([an_entry(5, ttl_ms=50)])
    await cache.drop([("b", 9)])
    await asyncio.sleep(0.15)
    assert list(await cache.get(["a"])) == [None]
    assert list(await cache.put_if_newer([an_entry(4, key="b")])) == [True]


async def test_a_short_value_does_not_end_the_tombstone_it_replaced(
    cache_world: CacheWorld,
) -> None:
    cache = cache_world.cache()
    await cache.drop([("a", 5)])
    await cache.put_if_newer([an_entry(5, ttl_ms=30)])
    await asyncio.sleep(0.1)
    assert list(await cache.put_if_newer([an_entry(4)])) == [False]


async def test_a_slow_fill_never_brings_back_what_was_dropped(cache_world: CacheWorld) -> None:
    filling, dropping = cache_world.cache(), cache_world.cache()
    chance = random.Random(7)
    for number in range(300):
        key = f"key {number}"

        async def fill(key: str = key) -> None:
            await asyncio.sleep(chance.random() * 0.002)
            await filling.put_if_newer([an_entry(1, key=key)])

        async def write(key: str = key) -> None:
            await asyncio.sleep(chance.random() * 0.002)
            await dropping.drop([(key, 2)])

        await asyncio.gather(fill(), write(), fill())
        assert list(await filling.get([key])) == [None]


async def test_racing_fills_leave_the_newest(cache_world: CacheWorld) -> None:
    caches = [cache_world.cache() for _ in range(3)]
    chance = random.Random(8)
    for number in range(50):
        versions = chance.sample(range(100), 12)
        puts = [
            caches[i % 3].put_if_newer([an_entry(version, key=f"key {number}")])
            for i, version in enumerate(versions)
        ]
        await asyncio.gather(*puts)
        (found,) = await caches[0].get([f"key {number}"])
        assert found is not None
        assert found[0] == max(versions)


async def test_clear_drops_everything(cache_world: CacheWorld) -> None:
    cache = cache_world.cache()
    await cache.put_if_newer([an_entry(5, key=f"key {number}") for number in range(2_500)])
    await cache.drop([("a", 9)])
    cache_world.ask("SET", "of somebody else", "stays")
    await cache.clear()
    assert list(await cache.get(["key 0", "key 2499"])) == [None, None]
    assert list(await cache.put_if_newer([an_entry(1)])) == [True]
    assert cache_world.ask("GET", "of somebody else") == b"stays"


async def test_nothing_asked_is_nothing_done(cache_world: CacheWorld) -> None:
    cache = cache_world.cache()
    await cache_world.kill()
    assert list(await cache.get([])) == []
    assert list(await cache.put_if_newer([])) == []
    await cache.drop([])


async def test_a_cache_that_is_away_says_so_and_recovers(cache_world: CacheWorld) -> None:
    cache = cache_world.cache()
    await cache.put_if_newer([an_entry(5)])
    await cache_world.kill()
    with pytest.raises(Unavailable):
        await cache.get(["a"])
    with pytest.raises(Unavailable):
        await cache.put_if_newer([an_entry(5)])
    with pytest.raises(Unavailable):
        await cache.drop([("a", 5)])
    cache_world.start()
    await asyncio.sleep(0.1)
    assert list(await cache.put_if_newer([an_entry(5)])) == [True]
    assert list(await cache.get(["a"])) == [(5, b"value 5")]


async def test_a_cache_that_hangs_is_asked_once_in_a_while_only(cache_world: CacheWorld) -> None:
    cache = cache_world.cache(pause_ms=60_000)
    await cache.put_if_newer([an_entry(5)])
    cache_world.pause()
    try:
        with pytest.raises(Unavailable, match="no reply"):
            await cache.get(["a"])
        for _ in range(100):
            with pytest.raises(Unavailable, match="a moment ago"):
                await cache.get(["a"])
    finally:
        cache_world.go_on()
