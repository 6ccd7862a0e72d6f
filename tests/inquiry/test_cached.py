"""Answers through the cache: one flight a key, bounded, jittered, and right when it is away."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from voltpay.core.errors import Unavailable
from voltpay.foundation.engines.redis.cache import RedisCache
from voltpay.foundation.seams.cache import Entry
from voltpay.services.inquiry.cached import Bound, Cached, TooManyQuestions

RACES = 1_000


class Fixed:
    """Chance that is none."""

    def __init__(self, value: float = 0.5) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


class Noted:
    """A cache in front of the real one that notes what is put."""

    def __init__(self, cache: RedisCache) -> None:
        self._cache = cache
        self.put: list[Entry] = []
        self.get = cache.get
        self.drop = cache.drop
        self.clear = cache.clear

    async def put_if_newer(self, entries: Sequence[Entry]) -> Sequence[bool]:
        self.put += entries
        return await self._cache.put_if_newer(entries)


class Database:
    """Answers (version, value), counts questions, and waits for `gate` when it is closed."""

    def __init__(self) -> None:
        self.answer: tuple[int, str] | None = (1, "one")
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> tuple[int, str] | None:
        self.asked += 1
        answer = self.answer
        await self.gate.wait()
        return answer


@pytest.fixture
async def cache(cache_url: str) -> AsyncIterator[RedisCache]:
    made = RedisCache(cache_url)
    yield made
    await made.close()


def cached(
    cache: RedisCache | Noted, count_max: int = 8, chance: Fixed | None = None
) -> Cached[str]:
    return Cached("test", str, cache, chance or Fixed(), Bound(count_max), 10_000)


async def test_the_second_question_does_not_reach_the_database(cache: RedisCache) -> None:
    ask, database = cached(cache), Database()
    assert [await ask("k", database, past_cache=False) for _ in range(2)] == ["one", "one"]
    assert database.asked == 1


async def test_many_at_once_are_one_flight(cache: RedisCache) -> None:
    ask, database = cached(cache), Database()
    found = await asyncio.gather(*(ask("k", database, past_cache=False) for _ in range(50)))
    assert found == ["one"] * 50
    assert database.asked == 1


async def test_whoever_leaves_does_not_take_the_answer_from_others(cache: RedisCache) -> None:
    ask, database = cached(cache), Database()
    database.gate.clear()
    first = asyncio.create_task(ask("k", database, past_cache=False))
    second = asyncio.create_task(ask("k", database, past_cache=False))
    await asyncio.sleep(0.02)
    first.cancel()
    database.gate.set()
    assert await second == "one"
    assert database.asked == 1


async def test_absence_is_not_cached(cache: RedisCache) -> None:
    ask, database = cached(cache), Database()
    database.answer = None
    assert await ask("k", database, past_cache=False) is None
    database.answer = (1, "one")
    assert await ask("k", database, past_cache=False) == "one"


async def test_a_slow_fill_never_puts_back_what_was_dropped(cache: RedisCache) -> None:
    ask, database = cached(cache), Database()
    database.gate.clear()
    slow = asyncio.create_task(ask("k", database, past_cache=False))
    await asyncio.sleep(0.02)
    await cache.drop([("k", 2)])
    database.answer = (2, "two")
    database.gate.set()
    assert await slow == "two"
    assert await cache.get(["k"]) != [(1, b"\xa3one")]
    assert await ask("k", database, past_cache=False) == "two"


async def test_whoever_joins_a_slow_fill_after_an_update_gets_the_update(cache: RedisCache) -> None:
    ask, database = cached(cache), Database()
    for version in range(1, RACES + 1):
        await cache.drop([("k", version)])
        database.answer = (version, f"{version}")
        database.gate.clear()
        slow = asyncio.create_task(ask("k", database, past_cache=False))
        asked = database.asked
        while database.asked == asked:
            await asyncio.sleep(0)
        database.answer = (version + 1, f"{version + 1}")
        await cache.drop([("k", version + 1)])
        joined = asyncio.create_task(ask("k", database, past_cache=False))
        await asyncio.sleep(0)
        database.gate.set()
        assert await joined == f"{version + 1}"
        await slow
        assert await ask("k", database, past_cache=False) == f"{version + 1}"


async def test_an_answer_that_stays_behind_the_cache_is_given_all_the_same(
    cache: RedisCache,
) -> None:
    """A replica that lags: the answer is old, and asking it again does not help."""
    ask, database = cached(cache), Database()
    await cache.drop([("k", 9)])
    assert await ask("k", database, past_cache=False) == "one"
    assert 1 < database.asked <= 5


async def test_past_the_cache_reads_now_and_leaves_what_it_read(cache: RedisCache) -> None:
    ask, database = cached(cache), Database()
    await ask("k", database, past_cache=False)
    database.answer = (2, "two")
    assert await ask("k", database, past_cache=True) == "two"
    assert await ask("k", database, past_cache=False) == "two"
    assert database.asked == 2


async def test_more_than_the_bound_are_refused_and_the_bound_is_given_back(
    cache: RedisCache,
) -> None:
    ask, database = cached(cache, 2), Database()
    database.gate.clear()
    two = [asyncio.create_task(ask(key, database, past_cache=False)) for key in "ab"]
    await asyncio.sleep(0.02)
    with pytest.raises(TooManyQuestions):
        await ask("c", database, past_cache=False)
    database.gate.set()
    assert await asyncio.gather(*two) == ["one", "one"]
    assert await ask("c", database, past_cache=False) == "one"


async def test_an_error_reaches_all_who_wait_and_the_next_asks_again(cache: RedisCache) -> None:
    ask, database = cached(cache), Database()

    async def away() -> tuple[int, str] | None:
        await asyncio.sleep(0.01)
        raise Unavailable("away")

    found = await asyncio.gather(
        *(ask("k", away, past_cache=False) for _ in range(3)), return_exceptions=True
    )
    assert [type(error) for error in found] == [Unavailable] * 3
    assert await ask("k", database, past_cache=False) == "one"


async def test_a_cache_that_is_away_costs_a_trip_to_the_database_alone() -> None:
    ask, database = cached(RedisCache("redis://127.0.0.1:1")), Database()
    for _ in range(2):
        assert await ask("k", database, past_cache=False) == "one"
    assert database.asked == 2


async def test_a_value_of_another_version_of_voltpay_is_read_anew(cache: RedisCache) -> None:
    await cache.put_if_newer([Entry("k", 0, b"\xff\xff", 10_000)])
    assert await cached(cache)("k", Database(), past_cache=False) == "one"


@pytest.mark.parametrize(("chance", "ttl_ms"), [(0.0, 9_000), (0.5, 10_000), (0.999, 10_998)])
async def test_answers_age_a_tenth_sooner_or_later(
    cache: RedisCache, chance: float, ttl_ms: int
) -> None:
    noted = Noted(cache)
    ask = cached(noted, chance=Fixed(chance))
    await ask("k", Database(), past_cache=False)
    assert abs(noted.put[0].ttl_ms - ttl_ms) <= 1
