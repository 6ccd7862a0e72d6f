"""The books' own guards: no index on the main tables, zero sum, append-only, day by day."""

import pytest
from tests.ledger.books import DAY, Books, settled

from voltpay.foundation.engines.postgres.pool import DatabaseRefused
from voltpay.services.ledger import rows

POSTING = (
    "('7a6e3c9e-0000-4000-8000-000000000001', 1, '2026-11-20', {account}, 0, 978, 1, {amount})"
)
TABLES = ("posting", "posting_20261120", "posting_rest")


def insert(table: str, *amounts: int, day: str = "2026-11-20") -> str:
    values = ", ".join(
        POSTING.format(account=i + 1, amount=amount) for i, amount in enumerate(amounts)
    )
    return f"insert into ledger.{table} values {values}".replace("2026-11-20", day)


async def test_the_catalogue_shows_no_index_on_payments_and_postings(books: Books) -> None:
    indexes = await books.rows(
        "select tablename from pg_indexes where schemaname = 'ledger'"
        " and (tablename like 'payment%' or tablename like 'posting%')"
    )
    tables = await books.rows(
        "select relid::text from pg_partition_tree('ledger.payment')"
        " union select relid::text from pg_partition_tree('ledger.posting')"
    )
    assert list(indexes) == []
    assert len(tables) == 6


@pytest.mark.parametrize("table", TABLES)
async def test_an_unbalanced_insert_is_refused_and_a_balanced_one_is_not(
    books: Books, table: str
) -> None:
    day = "1999-01-01" if table.endswith("rest") else "2026-11-20"
    with pytest.raises(DatabaseRefused, match="does not balance") as refused:
        await books.database.execute(insert(table, -100, 99, day=day))
    assert refused.value.constraint == "posting_balanced"
    with pytest.raises(DatabaseRefused):
        await books.database.execute(insert(table, 100, day=day))
    await books.database.execute(insert(table, -100, 60, 40, day=day))
    assert await books.count("posting") == 3


async def test_what_balances_only_over_two_currencies_is_refused(books: Books) -> None:
    statement = insert("posting", -100, 100)
    with pytest.raises(DatabaseRefused):
        await books.database.execute(statement.replace("978", "840", 1))


async def test_copy_meets_the_same_guard(books: Books) -> None:
    row = (settled().payment.id, 1, DAY, 1, 0, 978, 1, 5)
    async with books.database.session() as session:
        with pytest.raises(DatabaseRefused):
            await session.copy("ledger", "posting", rows.POSTING, [row])


@pytest.mark.parametrize("table", ["payment", "payment_20261120", "posting", "posting_20261120"])
@pytest.mark.parametrize(
    "statement", ["update ledger.{} set sequence = 9", "delete from ledger.{}"]
)
async def test_no_row_is_changed_or_deleted(books: Books, table: str, statement: str) -> None:
    await books.post([settled()])
    with pytest.raises(DatabaseRefused) as refused:
        await books.database.execute(statement.format(table))
    assert refused.value.constraint == "append_only"


async def test_a_days_idempotency_rows_have_their_key(books: Books) -> None:
    await books.post([settled()])
    with pytest.raises(DatabaseRefused, match="duplicate key"):
        await books.database.execute(
            "insert into ledger.idempotency select * from ledger.idempotency"
        )
