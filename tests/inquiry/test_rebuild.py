"""Rebuild: ends with what the facts say, also during projection."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.inquiry.stand import TABLES, Stand, posted, taken
from tests.inquiry.test_project import some_facts

from voltpay.core.messages import PaymentPosted
from voltpay.services.inquiry.rebuild import FactsSince, PurgedMeanwhile, RebuildRuns


def ledger_of(facts: Sequence[PaymentPosted], size: int = 25) -> FactsSince:
    """A ledger that has these facts; `facts` may grow."""

    async def since(since_ms: int) -> AsyncIterator[Sequence[PaymentPosted]]:
        found = [fact for fact in facts if fact.posted_at_ms >= since_ms]
        for start in range(0, len(found), size):
            yield found[start : start + size]
            await asyncio.sleep(0)

    return since


async def test_the_content_is_identical_and_progress_is_kept(stand: Stand) -> None:
    facts = some_facts(21)
    await stand.have(*facts)
    before = await stand.content((*TABLES, "progress"))
    seen: list[int] = []
    assert await stand.inquiry.rebuild(ledger_of(facts), seen.append) == len(facts)
    assert await stand.content((*TABLES, "progress")) == before
    assert seen[-1] == len(facts)
    assert seen == sorted(seen)


async def test_it_mends_what_was_damaged(stand: Stand) -> None:
    facts = some_facts(22)
    await stand.have(*facts)
    before = await stand.content()
    await stand.execute("update inquiry.balance set amount_minor = amount_minor + 1")
    await stand.execute("delete from inquiry.bucket where tier = 2")
    await stand.execute("delete from inquiry.payment where sequence > 3")
    await stand.have(posted())
    await stand.inquiry.rebuild(ledger_of(facts), lambda _: None)
    assert await stand.content() == before


async def test_it_may_be_repeated_and_projection_goes_on(stand: Stand) -> None:
    facts = some_facts(23)
    for part in (facts[:40], facts[:80], facts):
        await stand.have(*part)
        await stand.inquiry.rebuild(ledger_of(part), lambda _: None)
    rebuilt = await stand.content()
    await stand.have(*facts)
    assert await stand.content() == rebuilt


async def test_indexes_and_keys_are_those_of_the_first_tables(stand: Stand) -> None:
    database = stand.engines.primary("test")
    indexes = "select indexdef from pg_indexes where schemaname = 'inquiry' order by 1"
    options = (
        "select relname, reloptions from pg_class where relnamespace = 'inquiry'::regnamespace "
        "order by relname"
    )
    before = await database.fetch(indexes), await database.fetch(options)
    await stand.inquiry.rebuild(ledger_of(some_facts(24)), lambda _: None)
    assert (await database.fetch(indexes), await database.fetch(options)) == before
    assert not await database.fetch("select 1 from pg_namespace where nspname = 'inquiry_next'")
    await database.close()


async def test_during_projection_nothing_is_lost_or_counted_twice(stand: Stand) -> None:
    facts = some_facts(25, 600)
    now_ms = stand.engines.clock.now_ms()
    facts = [_at(fact, now_ms) for fact in facts]
    books, shown = list(facts[:300]), 300
    await stand.have(*facts[:300])

    async def project_the_rest() -> None:
        nonlocal shown
        while shown < len(facts):
            part = facts[shown : shown + 10]
            books.extend(part)
            await asyncio.sleep(0.001)
            await stand.have(*part)
            shown += 10

    async def rebuild_often() -> None:
        while shown < len(facts):
            await stand.inquiry.rebuild(ledger_of(books, 10), lambda _: None)

    await asyncio.gather(project_the_rest(), rebuild_often())
    found = await stand.content()
    await stand.execute("truncate inquiry.payment, inquiry.balance, inquiry.bucket")
    await stand.have(*facts)
    assert await stand.content() == found


def _at(fact: PaymentPosted, posted_at_ms: int) -> PaymentPosted:
    return PaymentPosted(fact.settled, fact.sequence, posted_at_ms, fact.partition, fact.position)


async def test_a_second_rebuild_at_the_same_time_is_refused(stand: Stand) -> None:
    entered, leave, fact = asyncio.Event(), asyncio.Event(), posted()

    async def slow(since_ms: int) -> AsyncIterator[Sequence[PaymentPosted]]:
        entered.set()
        await leave.wait()
        yield [fact]

    first = asyncio.create_task(stand.inquiry.rebuild(slow, lambda _: None))
    await entered.wait()
    with pytest.raises(RebuildRuns):
        await stand.inquiry.rebuild(slow, lambda _: None)
    leave.set()
    assert await first == 1


async def test_what_a_crashed_rebuild_left_does_not_matter(stand: Stand) -> None:
    async def crash(since_ms: int) -> AsyncIterator[Sequence[PaymentPosted]]:
        yield [posted()]
        raise RuntimeError("crash")

    await stand.have(posted())
    before = await stand.content()
    with pytest.raises(RuntimeError):
        await stand.inquiry.rebuild(crash, lambda _: None)
    assert await stand.content() == before
    assert await stand.inquiry.rebuild(ledger_of([posted()]), lambda _: None) == 1


async def test_a_purge_meanwhile_ends_it_without_a_swap(stand: Stand) -> None:
    async def purged(since_ms: int) -> AsyncIterator[Sequence[PaymentPosted]]:
        yield [posted()]
        await stand.execute("update reference.installation set epoch = 1")

    with pytest.raises(PurgedMeanwhile):
        await stand.inquiry.rebuild(purged, lambda _: None)
    assert (await stand.content())["payment"] == []


async def test_a_long_question_only_delays_the_swap(stand: Stand) -> None:
    fact = posted()
    await stand.have(fact)
    database = stand.engines.primary("reader")
    async with database.transaction() as session:
        await session.fetch("select * from inquiry.payment")
        rebuilding = asyncio.create_task(stand.inquiry.rebuild(ledger_of([fact]), lambda _: None))
        await asyncio.sleep(2.5)
        assert not rebuilding.done()
    assert await rebuilding == 1
    await database.close()
    assert await stand.project(taken([fact])) == []
