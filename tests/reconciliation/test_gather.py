"""Gathering on a real database: what was altered behind everybody's back is found, and named."""

import pytest
from tests.ledger.books import NOON_MS
from tests.reconciliation.books_and_views import filled

from voltpay.services.reconciliation.audits import AUDITS, OF_READ_MODEL
from voltpay.services.reconciliation.sources import Window

ALICE = "customer:alice"
PLANTED = {
    "unbalanced entry": (
        "update ledger.posting set amount_minor = amount_minor + 1 where payment_id = '{id}'"
        " and amount_minor > 0",
        "{id}",
    ),
    "missing posting": ("delete from ledger.posting where payment_id = '{id}'", "{id}"),
    "stray posting": ("delete from ledger.payment where payment_id = '{id}'", "{id}"),
    "doubled posting": (
        "insert into ledger.posting select * from ledger.posting where payment_id = '{id}'",
        "{id}",
    ),
    "posted twice": (
        "insert into ledger.payment select * from ledger.payment where payment_id = '{declined}'",
        "{declined}",
    ),
    "wrong balance": (
        "update ledger.balance b set amount_minor = amount_minor + 1 from reference.account a"
        " where a.id = b.account_id and a.name = 'customer:alice'",
        ALICE,
    ),
    "sequence gap": (
        "update ledger.posting p set sequence = 3 from reference.account a"
        " where a.id = p.account_id and a.name = 'customer:alice' and sequence = 2",
        ALICE,
    ),
    "out of order": (
        "update ledger.payment set position = 1000 - 10 * sequence where executed",
        ALICE,
    ),
    "wrong summary": (
        "update inquiry.bucket set count = count + 1 where processor = 'fallback' and tier = 3",
        "fallback tier 3 at 2026-11-20 12:00:00+00",
    ),
    "read balance": (
        "update inquiry.balance set amount_minor = amount_minor + 1 where account = 'alice'",
        "alice",
    ),
}


@pytest.fixture
async def stores(database_url, log_url, cache_url):
    async with filled(database_url, log_url, cache_url) as made:
        yield made


def names_of(stores):
    return {"id": stores.ids[0], "declined": stores.ids[3]}


async def test_stores_that_the_stages_filled_add_up(stores):
    verdict = await stores.verdict()
    assert verdict.differences == ()
    assert verdict.counts["completed"] == verdict.counts["executions"] == 3
    assert verdict.counts["declined"] == 1


def test_every_audit_is_planted_below():
    assert PLANTED.keys() == AUDITS.keys()


@pytest.mark.parametrize("what", PLANTED)
async def test_what_the_database_itself_can_tell_is_found_and_named(stores, what):
    sql, who = PLANTED[what]
    names = names_of(stores)
    await stores.alter(sql, **names)
    assert (what, who.format(**names)) in await stores.found()


@pytest.mark.parametrize("what", PLANTED.keys() - OF_READ_MODEL)
async def test_nothing_is_said_of_a_kind_that_was_not_planted(stores, what):
    """Each alteration shows as what it is, and not as every other kind, too."""
    sql, _ = PLANTED[what]
    names = names_of(stores)
    await stores.alter(sql, **names)
    who = {each for _, each in await stores.found()}
    assert who <= {names["id"], names["declined"], ALICE, "alice", *_accounts()}


def _accounts():
    return {"clearing:default", "merchant:shop", "fees:default"}


@pytest.mark.parametrize("what", OF_READ_MODEL)
async def test_the_read_model_is_judged_only_once_the_projection_has_caught_up(stores, what):
    sql, _ = PLANTED[what]
    await stores.alter(sql, **names_of(stores))
    stores.waiting["payment.posted"] = 1
    assert await stores.found() == set()


async def test_a_declined_payment_with_legs_is_found(stores):
    await stores.alter(
        "insert into ledger.posting select '{declined}', kind, day, account_id, slot, currency,"
        " 9, amount_minor from ledger.posting p where payment_id = '{other}'",
        declined=stores.ids[3],
        other=stores.ids[2],
    )
    assert ("missing posting", stores.ids[3]) in await stores.found()


async def test_a_balance_that_is_gone_is_found(stores):
    await stores.alter(
        "delete from ledger.balance where account_id in"
        " (select id from reference.account where name = 'customer:alice')"
    )
    found = await stores.found()
    assert ("wrong balance", ALICE) in found
    assert ("read balance", "alice") in found


@pytest.mark.parametrize(
    ("what", "sql"),
    [
        (
            "wrong processor",
            "update ledger.payment set processor_id ="
            " (select id from reference.processor where name = 'fallback')"
            " where payment_id = '{id}'",
        ),
        (
            "wrong amount",
            "update ledger.payment set amount_minor = amount_minor + 1 where payment_id = '{id}'",
        ),
        (
            "wrong time",
            "update ledger.payment set requested_at = requested_at + interval '1 ms'"
            " where payment_id = '{id}'",
        ),
        ("stale read model", "delete from inquiry.payment where payment_id = '{id}'"),
        (
            "stale read model",
            "update inquiry.payment set fee_minor = 0 where payment_id = '{id}'",
        ),
        ("unattempted", "delete from routing.attempt where payment_id = '{id}'"),
        ("not completed", "delete from ledger.payment where payment_id = '{id}'"),
    ],
)
async def test_what_one_store_says_against_another_is_found(stores, what, sql):
    await stores.alter(sql, id=stores.ids[0])
    assert (what, stores.ids[0]) in await stores.found()


async def test_a_dead_letter_is_read_with_or_without_its_payment(stores):
    for at, payment_id in ((1, f"'{stores.ids[0]}'"), (2, "null")):
        await stores.alter(
            "insert into dead.letter (topic, partition, position, key, stage, payment_id, payload,"
            " error, failures, buried_at, epoch)"
            " values ('t', 0, {at}, '', 's', {payment_id}, '', 'e', 3, now(), 0)",
            at=at,
            payment_id=payment_id,
        )
    assert (await stores.verdict()).counts["dead"] == 2
    await stores.alter("update dead.letter set state = 'discarded' where payment_id is null")
    assert (await stores.verdict()).counts["dead"] == 1


async def test_a_window_bounds_every_store_at_both_ends_inclusive(stores):
    def completed(verdict):
        assert verdict.holds
        return verdict.counts["completed"]

    assert completed(await stores.verdict(Window(NOON_MS, NOON_MS))) == 3
    assert completed(await stores.verdict(Window(NOON_MS + 1))) == 0
    assert completed(await stores.verdict(Window(0, NOON_MS - 1))) == 0
    await stores.alter(PLANTED["missing posting"][0], id=stores.ids[0])
    found = await stores.found(Window(NOON_MS + 86_400_000))
    assert "missing posting" not in {what for what, _ in found}
