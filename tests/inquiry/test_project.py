"""Projection: exact and idempotent, whatever is repeated, and only by the partition's owner."""

import asyncio
import random
from collections import Counter

import pytest
from tests.inquiry.stand import NOW_MS, Stand, id_of, payment, posted, stand_on, taken

from voltpay.core.errors import Broken, Unavailable
from voltpay.core.messages import PaymentAccepted, PaymentPosted
from voltpay.foundation.engines.postgres.fence import FenceLost
from voltpay.foundation.engines.redis.cache import CacheAway, RedisCache
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.cache import Entry
from voltpay.services.inquiry.cached import balance_key, transactions_key
from voltpay.services.inquiry.cover import TIER_WIDTHS_MS
from voltpay.services.inquiry.store import LOCK_CLASS


def some_facts(seed: int, count: int = 120) -> list[PaymentPosted]:
    """Facts of keyed and anonymous accounts, in two currencies, some declined."""
    chance = random.Random(seed)
    sequences: Counter[object] = Counter()
    facts = []
    for position in range(1, count + 1):
        account = chance.choice(["alice", "bob", "carol", ""])
        partition = {"alice": 0, "bob": 1, "carol": 2}.get(account, chance.randrange(4))
        executed, currency = chance.random() < 0.8, chance.choice(["EUR", "JPY"])
        key = (account, currency, partition)
        sequences[key] += executed
        facts.append(
            posted(
                requested_at_ms=NOW_MS + chance.randrange(200_000_000),
                processor=chance.choice(["default", "fallback"]),
                executed=executed,
                sequence=sequences[key],
                partition=partition,
                position=position,
                account_id=account,
                currency=currency,
                amount_minor=chance.randrange(1, 10_000),
            )
        )
    return facts


async def test_balances_are_what_the_facts_add_up_to(stand: Stand) -> None:
    facts = some_facts(1)
    await stand.have(*facts)
    expected: Counter[tuple[str, int, int]] = Counter()
    for fact in facts:
        asked = fact.settled.payment
        slot = 0 if asked.account_id else fact.partition
        account = asked.account_id or "anonymous:shop"
        number = {"EUR": 978, "JPY": 392}[asked.currency]
        expected[account, number, slot] -= asked.amount_minor if fact.settled.executed else 0
    rows = (await stand.content())["balance"]
    assert {tuple(row[:3]): row[3] for row in rows} == dict(expected)
    assert sum(row[5] for row in rows) == len(facts)


async def test_buckets_of_every_tier_count_executed_payments_alone(stand: Stand) -> None:
    facts = some_facts(2)
    await stand.have(*facts)
    executed = [fact for fact in facts if fact.settled.executed]
    buckets = (await stand.content())["bucket"]
    for tier, width_ms in TIER_WIDTHS_MS.items():
        expected: Counter[tuple[int, str, int]] = Counter()
        for fact in executed:
            at_ms = fact.settled.attempt.requested_at_ms
            start_ms = at_ms - at_ms % width_ms
            expected[start_ms, fact.settled.attempt.processor, fact.partition] += 1
        found: Counter[tuple[int, str, int]] = Counter()
        for row in buckets:
            if row[0] == tier:
                found[round(row[2].timestamp() * 1000), row[3], row[4]] += row[5]
        assert found == expected


async def test_repeats_whole_partial_and_within_a_batch_change_nothing(stand: Stand) -> None:
    facts = some_facts(3)
    await stand.have(*facts[:70])
    await stand.have(*facts[40:], *facts[100:])
    once = await stand.content()
    await stand.have(*facts)
    await stand.have(*reversed(facts))
    assert await stand.content() == once
    other = sorted(row[0] for row in once["payment"])
    assert other == sorted(id_of(fact) for fact in facts)


async def test_one_by_one_gives_the_same_as_a_batch(stand: Stand) -> None:
    facts = some_facts(4, 30)
    await stand.have(*facts)
    batched = await stand.content()
    await stand.execute("truncate inquiry.payment, inquiry.balance, inquiry.bucket")
    for fact in facts:
        await stand.have(fact)
    assert await stand.content() == batched


async def test_a_row_keeps_every_field_of_its_fact(stand: Stand) -> None:
    fact = posted(
        details=stand.engines.sealer.seal(b"{}", b"x"), account_id="", partition=3, sequence=7
    )
    await stand.have(fact)
    row = (await stand.content(("payment",)))["payment"][0]
    assert row[:4] == (id_of(fact), "anonymous:shop", "shop", "default")
    assert row[4:12] == (978, 1990, 100, True, "", 1, "cheapest", 7)
    at_ms = [round(moment.timestamp() * 1000) for moment in row[12:16]]
    assert at_ms == [NOW_MS - 100, NOW_MS, NOW_MS + 20, NOW_MS + 30]
    assert row[16] == fact.settled.payment.details


async def test_progress_moves_forward_only(stand: Stand) -> None:
    await stand.have(posted(partition=0, position=9), posted(partition=2, position=4))
    await stand.have(posted(partition=0, position=3), posted(partition=2, position=5))
    assert (await stand.content(("progress",)))["progress"] == [(0, 9), (2, 5)]


async def test_facts_older_than_the_epoch_are_dropped_and_passed(stand: Stand) -> None:
    await stand.execute("update reference.installation set epoch = 1")
    old, new = posted(epoch=0, position=1), posted(epoch=1, position=2)
    await stand.have(old, new)
    rows = await stand.content((*("payment", "balance"), "progress"))
    assert [row[0] for row in rows["payment"]] == [id_of(new)]
    assert rows["balance"][0][3] == -1990
    await stand.have(posted(epoch=0, position=8))
    assert (await stand.content(("progress",)))["progress"] == [(0, 8)]


async def test_a_purge_empties_everything_and_passes_what_had_settled(stand: Stand) -> None:
    await stand.have(posted(position=5))
    stand.ends = {0: 7, 1: 2}
    database = stand.engines.primary("purge")
    async with database.transaction() as session:
        await stand.inquiry.purge(session)
    await database.close()
    assert await stand.content() == {"payment": [], "balance": [], "bucket": []}
    assert (await stand.content(("progress",)))["progress"] == [(0, 7), (1, 2)]


async def test_an_unowned_partition_is_refused(stand: Stand) -> None:
    await stand.project.release([1])
    with pytest.raises(FenceLost):
        await stand.project(taken([posted(partition=1)]))
    await stand.have(posted(partition=0))


async def test_a_partition_has_one_owner(stand: Stand) -> None:
    other = stand_on(stand.engines)
    assert await other.project.own([0, 1]) == frozenset()
    await stand.project.release([1])
    assert await other.project.own([0, 1]) == {1}
    assert await stand.project.own([0, 1]) == {0}
    await other.inquiry.part.close()
    assert await owns_soon(stand, {0, 1})


async def owns_soon(stand: Stand, partitions: set[int]) -> bool:
    """The server gives locks back once it notices that their connection is gone."""
    for _ in range(500):
        if await stand.project.own(partitions) == partitions:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_owning_twice_is_given_back_at_once(stand: Stand) -> None:
    await stand.project.own([0, 1])
    await stand.project.release([0, 1])
    other = stand_on(stand.engines)
    assert await other.project.own([0, 1]) == {0, 1}
    await other.inquiry.part.close()


async def test_a_writer_that_lost_its_connection_writes_only_after_owning_again(
    stand: Stand,
) -> None:
    await stand.execute(
        "select pg_terminate_backend(pid) from pg_locks "
        f"where locktype = 'advisory' and classid = {LOCK_CLASS}"
    )
    with pytest.raises(Unavailable):
        await stand.have(posted())
    with pytest.raises(FenceLost):
        await stand.have(posted())
    assert await owns_soon(stand, {0})
    await stand.have(posted())


async def test_another_message_is_broken(stand: Stand) -> None:
    accepted = Taken(PaymentAccepted(payment()), "payment.posted", 0, 1, NOW_MS)
    with pytest.raises(Broken):
        await stand.project([accepted])


async def test_a_text_that_the_database_refuses_is_broken_and_its_neighbours_are_not(
    stand: Stand,
) -> None:
    good, bad = posted(), posted(merchant_id="a\0b")
    with pytest.raises(Broken):
        await stand.have(good, bad)
    assert (await stand.content())["payment"] == []
    await stand.have(good)


async def test_an_unknown_currency_is_broken(stand: Stand) -> None:
    with pytest.raises(Broken):
        await stand.have(posted(currency="XXX"))


async def test_cached_answers_of_touched_accounts_go_and_older_ones_stay_out(
    stand: Stand,
) -> None:
    cache = stand.engines.cache
    keys = [balance_key("alice"), transactions_key("alice")]
    await cache.put_if_newer([Entry(key, 0, b"old", 60_000) for key in keys])
    await cache.put_if_newer([Entry(balance_key("bob"), 0, b"bob", 60_000)])
    await stand.have(posted())
    await stand.have(posted(executed=False))
    assert await cache.get([*keys, balance_key("bob")]) == [None, None, (0, b"bob")]
    assert list(await cache.put_if_newer([Entry(keys[0], 1, b"slow", 60_000)])) == [False]
    assert list(await cache.put_if_newer([Entry(keys[0], 2, b"fresh", 60_000)])) == [True]


async def test_a_repeat_drops_again_what_a_crash_left_cached(stand: Stand) -> None:
    fact = posted()
    await stand.have(fact)
    await stand.engines.cache.clear()
    await stand.engines.cache.put_if_newer([Entry(balance_key("alice"), 0, b"old", 60_000)])
    await stand.have(fact)
    assert await stand.engines.cache.get([balance_key("alice")]) == [None]


async def test_a_cache_that_is_away_is_no_failure(stand: Stand) -> None:
    class Away(RedisCache):
        async def drop(self, keys: object) -> None:
            raise CacheAway("away")

    stand.project._cache = Away("redis://127.0.0.1:1")
    await stand.have(posted())
    assert len((await stand.content())["payment"]) == 1
