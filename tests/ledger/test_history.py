"""History: every posted fact again, in order, and which attempts are posted."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from tests.ledger.books import DAY, NOON_MS, Books, settled

from voltpay.core.messages import PaymentPosted
from voltpay.services.ledger.history import Window, facts, posted_among, windows_of
from voltpay.services.ledger.store import Span

A_DAY_MS = 86_400_000
KEEP_TIME = "alter table ledger.payment_20261120 disable trigger append_only"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def replayed(books: Books) -> list[PaymentPosted]:
    return [fact async for chunk in facts(books.store) for fact in chunk]


async def test_a_rebuild_gets_every_fact_as_it_was_first_published(books: Books) -> None:
    published = [
        *await books.post([settled("alice"), settled("bob", executed=False)]),
        *await books.post([settled("alice"), settled("alice", currency="USD")]),
        *await books.post([settled(""), settled("")], partition=5),
    ]
    await books.post([fact.settled for fact in published[:4]])
    seen = await replayed(books)
    assert len(seen) == 6
    for fact in published:
        expected = PaymentPosted(
            fact.settled, fact.sequence, fact.posted_at_ms, fact.partition, position=0
        )
        assert expected in seen


async def test_the_sequence_of_an_account_grows_although_its_days_are_mixed(books: Books) -> None:
    for days in (1, 0, 2, 0, -3, 1):
        facts_of_day = [
            settled(requested_at_ms=NOON_MS + days * A_DAY_MS, amount_minor=1 + i)
            for i in range(30)
        ]
        await books.post(facts_of_day)
    assert [fact.sequence for fact in await replayed(books)] == list(range(1, 181))


async def test_facts_come_in_chunks_and_none_for_empty_books(books: Books) -> None:
    assert [chunk async for chunk in facts(books.store)] == []
    await books.post([settled(fee_minor=0) for _ in range(1005)])
    assert [len(chunk) async for chunk in facts(books.store)] == [1000, 5]


async def test_what_was_posted_on_several_days_comes_in_the_order_of_posting(
    books: Books,
) -> None:
    await books.post([settled("alice", i + 1) for i in range(5)])
    await books.database.execute(KEEP_TIME)
    await books.database.execute(
        "update ledger.payment_20261120 set posted_at = '2026-11-20 23:59Z'::timestamptz"
        " + sequence * interval '10 hours'"
    )
    spans = await books.store.spans()
    assert [(span.day, span.count) for span in spans] == [(DAY, 5)]
    assert len(windows_of(spans)) == 3
    assert [fact.sequence for fact in await replayed(books)] == [1, 2, 3, 4, 5]


def test_a_window_names_the_days_that_reach_into_it() -> None:
    first, second = date(2026, 11, 20), date(2026, 11, 21)
    spans = [
        Span(first, 10, at("2026-11-20T00:00:01"), at("2026-11-21T00:00:00")),
        Span(second, 10, at("2026-11-21T00:00:00"), at("2026-11-21T23:59:59")),
        Span(date(2026, 11, 25), 1, at("2026-11-25T01:00:00"), at("2026-11-25T01:00:00")),
    ]
    assert windows_of(spans) == [
        Window(at("2026-11-20T00:00:00"), at("2026-11-21T00:00:00"), (first,)),
        Window(at("2026-11-21T00:00:00"), at("2026-11-22T00:00:00"), (first, second)),
        Window(at("2026-11-25T00:00:00"), at("2026-11-26T00:00:00"), (date(2026, 11, 25),)),
    ]


async def test_attempts_that_are_posted_are_told_from_those_that_are_not(books: Books) -> None:
    posted = [settled("alice"), settled("bob", executed=False)]
    await books.post(posted)
    asked = [(fact.payment.id, NOON_MS) for fact in posted]
    other_day = [(posted[0].payment.id, NOON_MS + A_DAY_MS)]
    known = {fact.payment.id for fact in posted}
    assert await posted_among(books.store, [*asked, (uuid4(), NOON_MS)]) == known
    assert await posted_among(books.store, other_day) == set()
    assert await posted_among(books.store, []) == set()


async def test_attempts_of_cleaned_days_are_looked_for_among_their_payments(books: Books) -> None:
    fact, absent = settled("alice"), uuid4()
    await books.post([fact])
    await books.store.clean(DAY + timedelta(days=1))
    asked = [(fact.payment.id, NOON_MS), (absent, NOON_MS)]
    assert await posted_among(books.store, asked) == {fact.payment.id}


async def test_the_estimate_follows_the_catalogue(books: Books) -> None:
    assert await books.store.estimate() == 0
    await books.post([settled() for _ in range(50)])
    await books.database.execute("analyze ledger.payment_20261120")
    assert await books.store.estimate() == 50
