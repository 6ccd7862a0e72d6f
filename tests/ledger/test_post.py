"""Posting: every settled payment once, in order, and the same fact again for every repeat."""

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from msgspec.structs import replace
from tests.ledger.books import DAY, NOON_MS, Books, settled, taken

from voltpay.core.codec import decode, encode
from voltpay.core.errors import Broken
from voltpay.core.messages import PaymentAccepted
from voltpay.core.money import AMOUNT_MAX
from voltpay.foundation.engines.postgres.pool import DatabaseRefused
from voltpay.services.ledger.entries import UnbalancedEntry, UnpostableFact, entry_of
from voltpay.services.ledger.post import NotSettled
from voltpay.services.ledger.store import NamesPurged

MIDNIGHT_MS = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) * 1000


async def test_a_settled_payment_is_posted_and_published_with_its_source(books: Books) -> None:
    fact = settled("alice", 1990, fee_minor=100)
    (posted,) = await books.post([fact], partition=3, position=41)
    assert (posted.settled, posted.sequence, posted.partition, posted.position) == (fact, 1, 3, 41)
    assert await books.balances() == {
        "customer:alice": -1990,
        "clearing:default": 1990,
        "merchant:shop": -100,
        "fees:default": 100,
    }
    (row,) = await books.rows("select * from ledger.payment_20261120")
    assert decode(row["settled"]) == fact
    assert (row["day"], row["executed"], row["partition"], row["sequence"]) == (DAY, True, 3, 1)


async def test_a_repeat_posts_nothing_and_publishes_what_the_first_did(books: Books) -> None:
    facts = [settled("alice"), settled("bob", executed=False), settled("")]
    first = await books.post(facts, position=1)
    await asyncio.sleep(0.005)
    again = await books.post(facts, position=100)
    assert [(p.sequence, p.posted_at_ms) for p in again] == [
        (p.sequence, p.posted_at_ms) for p in first
    ]
    assert [p.position for p in again] == [100, 101, 102]
    assert [await books.count(t) for t in ("payment", "posting", "idempotency")] == [3, 8, 3]


async def test_a_message_twice_in_one_batch_is_posted_once(books: Books) -> None:
    fact = settled("alice")
    other = settled("alice")
    published = await books.post([fact, other, fact, fact])
    assert [p.sequence for p in published] == [1, 2, 1, 1]
    assert await books.count("payment") == 2
    assert (await books.balances())["customer:alice"] == -2 * 1990


async def test_a_group_set_back_repeats_old_batches_among_new_ones(books: Books) -> None:
    facts = [settled("alice") for _ in range(20)]
    first = await books.post(facts[:12])
    second = await books.post(facts[5:])
    assert [p.sequence for p in first] == list(range(1, 13))
    assert [p.sequence for p in second] == list(range(6, 21))
    assert await books.count("posting") == 80


async def test_a_redelivery_across_midnight_is_the_same_payment(books: Books) -> None:
    await books.store.prepare_day(DAY + timedelta(days=1))
    before, after = (settled("alice", requested_at_ms=MIDNIGHT_MS + ms) for ms in (-1, 1))
    await books.post([before])
    published = await books.post([before, after, before])
    assert [p.sequence for p in published] == [1, 2, 1]
    assert await books.count("payment_20261120") == await books.count("payment_20261121") == 1


async def test_a_day_without_partitions_is_kept_by_the_default_one(books: Books) -> None:
    fact = settled(requested_at_ms=NOON_MS + 40 * 86_400_000)
    await books.post([fact])
    (posted,) = await books.post([fact])
    assert posted.sequence == 1
    assert [await books.count(f"{t}_rest") for t in ("idempotency", "payment", "posting")] == [
        1,
        1,
        4,
    ]


async def test_a_declined_payment_has_a_row_and_no_posting(books: Books) -> None:
    (posted,) = await books.post([settled(executed=False)])
    assert posted.sequence == 0
    assert posted.settled.declined == "no funds"
    assert await books.count("payment") == 1
    assert await books.count("posting") == await books.count("balance") == 0


async def test_a_hot_account_is_updated_once_a_batch(books: Books) -> None:
    facts = [settled("whale", 10, fee_minor=0) for _ in range(400)]
    published = await books.post(facts)
    assert [p.sequence for p in published] == list(range(1, 401))
    rows = await books.rows(
        "select amount_minor, sequence from ledger.balance join reference.account a"
        " on a.id = account_id where a.name = 'customer:whale'"
    )
    assert [tuple(row) for row in rows] == [(-4000, 400)]


async def test_currencies_of_one_account_are_numbered_apart(books: Books) -> None:
    facts = [settled(currency=currency) for currency in ("EUR", "USD", "EUR", "JPY")]
    assert [p.sequence for p in await books.post(facts)] == [1, 1, 2, 1]


async def test_a_keyed_account_in_slot_0_and_partition_0_do_not_meet(books: Books) -> None:
    await books.post([settled("anonymous:shop"), settled("shop")], partition=5)
    await books.post([settled("")], partition=0)
    rows = await books.rows(
        "select a.name, b.slot, b.sequence from ledger.balance b"
        " join reference.account a on a.id = account_id where a.name like 'customer%' order by 1, 2"
    )
    assert [tuple(row) for row in rows] == [
        ("customer:anonymous:shop", 0, 1),
        ("customer:anonymous:shop", 5, 1),
        ("customer:shop", 0, 1),
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_order_sequence_and_balances_hold_over_random_batches(
    books: Books, seed: int
) -> None:
    chance = random.Random(seed)
    log = [
        settled(
            chance.choice(["a", "b", "c", ""]),
            chance.randint(1, 900),
            fee_minor=chance.randint(0, 2),
            executed=chance.random() < 0.9,
        )
        for _ in range(120)
    ]
    at, first = 0, {}
    while at < len(log):
        start = max(0, at - chance.randint(0, 15))
        end = at + chance.randint(1, 30)
        for posted in await books.post(log[start:end]):
            kept = first.setdefault(posted.settled.payment.id, posted)
            assert (posted.sequence, posted.posted_at_ms) == (kept.sequence, kept.posted_at_ms)
        at = end
    for account in "abc":
        numbers = [
            first[fact.payment.id].sequence
            for fact in log
            if fact.payment.account_id == account and fact.executed
        ]
        assert numbers == list(range(1, len(numbers) + 1))
    wrong = await books.rows(
        "select account_id from (select account_id, currency, slot, sum(amount_minor) as amount,"
        " count(*), max(sequence) as last, min(sequence) as first from ledger.posting"
        " group by 1, 2, 3) p full join ledger.balance b using (account_id, currency, slot)"
        " where (p.amount, p.count, p.last, p.first)"
        " is distinct from (b.amount_minor, b.sequence, b.sequence, 1)"
    )
    assert list(wrong) == []
    assert sum((await books.balances()).values()) == 0


async def test_a_fact_comes_back_the_same_after_the_log_encoded_it_again(books: Books) -> None:
    fact = settled()
    await books.post([decode(encode(fact))])
    assert decode(await books.value("select settled from ledger.payment")) == fact


async def test_a_batch_with_an_unpostable_payment_is_refused_whole(books: Books) -> None:
    with pytest.raises(UnpostableFact):
        await books.post([settled(), settled(currency="XXX")])
    assert await books.count("payment") == 0


async def test_an_unbalanced_entry_refuses_its_whole_batch(books: Books) -> None:
    await books.stage.own([3])
    entry = entry_of(settled(), 3)
    with pytest.raises(UnbalancedEntry):
        await books.store.post([entry_of(settled(), 3), replace(entry, legs=entry.legs[1:])])
    assert await books.count("payment") == 0


async def test_a_balance_that_would_overflow_is_ours_to_mend_and_changes_nothing(
    books: Books,
) -> None:
    await books.post([settled("alice", 5)])
    await books.database.execute("update ledger.balance set amount_minor = -$1::bigint", 2**63 - 1)
    with pytest.raises(DatabaseRefused, match="out of range"):
        await books.post([settled("alice", AMOUNT_MAX)])
    assert await books.count("payment") == 1


async def test_a_text_that_the_database_refuses_is_broken_not_unavailable(books: Books) -> None:
    with pytest.raises(Broken):
        await books.post([settled("nul\0byte")])
    assert [p.sequence for p in await books.post([settled("alice")])] == [1]


async def test_another_message_is_refused(books: Books) -> None:
    await books.stage.own([3])
    (one,) = taken([settled()])
    with pytest.raises(NotSettled):
        await books.stage([replace(one, message=PaymentAccepted(settled().payment))])


async def test_what_is_older_than_the_installations_epoch_is_dropped(books: Books) -> None:
    await books.post([settled("alice")])
    await books.database.execute("update reference.installation set epoch = 2")
    new = settled("alice", epoch=2)
    published = await books.post([settled("bob", epoch=1), new, settled("alice", epoch=0)])
    assert [p.settled for p in published] == [new]
    assert await books.count("payment") == 2
    assert await books.post([settled(epoch=1)]) == []


async def test_a_payment_that_was_posted_before_a_purge_is_posted_by_its_new_epoch(
    books: Books,
) -> None:
    payment_id = uuid4()
    await books.post([settled("alice", payment_id=payment_id), settled("alice")])
    async with books.database.transaction() as session:
        await session.execute("update reference.installation set epoch = epoch + 1")
        await books.store.purge(session)
    assert await books.post([settled("alice", payment_id=payment_id)]) == []
    (posted,) = await books.post([settled("alice", payment_id=payment_id, epoch=1)])
    assert posted.sequence == 1
    assert await books.balances() == {
        "customer:alice": -1990,
        "clearing:default": 1990,
        "merchant:shop": -100,
        "fees:default": 100,
    }


async def test_a_purge_under_way_holds_a_batch_back_until_its_epoch_is_known(
    books: Books,
) -> None:
    await books.post([settled("alice")])
    async with books.database.transaction() as session:
        await session.execute("update reference.installation set epoch = epoch + 1")
        await books.store.purge(session)
        batch = asyncio.create_task(books.post([settled("bob")]))
        await asyncio.sleep(0.2)
        assert not batch.done()
    assert await batch == []
    assert await books.count("payment") == 0


async def test_a_purge_that_has_not_reached_the_books_waits_for_the_batch_and_empties_it(
    books: Books,
) -> None:
    async with books.database.transaction() as session:
        await session.execute("update reference.installation set epoch = epoch + 1")
        assert len(await books.post([settled("alice")])) == 1
        await books.store.purge(session)
    assert await books.count("payment") == await books.count("balance") == 0


async def test_purges_and_batches_at_the_same_time_never_lock_each_other_up(
    books: Books,
) -> None:
    async def post() -> None:
        for _ in range(30):
            with suppress(NamesPurged):
                await books.post([settled("alice"), settled("bob")])

    async def purge() -> None:
        for _ in range(10):
            async with books.database.transaction() as session:
                await session.execute("update reference.installation set epoch = epoch + 1")
                await books.store.purge(session)

    await asyncio.gather(post(), purge())
    assert await books.count("payment") == await books.count("balance") == 0
