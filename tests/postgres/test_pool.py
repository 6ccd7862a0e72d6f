"""What PostgreSQL answers, as the house hears it: away, or refused."""

import asyncio

import pytest

from voltpay.foundation.engines.postgres.pool import DatabaseAway, DatabaseRefused, Postgres


@pytest.fixture
async def database(database_url):
    """A small pool on a fresh database."""
    pool = Postgres(database_url, name="test", size_max=2, timeout_ms=2_000)
    yield pool
    await pool.close()


@pytest.mark.parametrize(
    "sql",
    [
        "insert into reference.merchant (name) values ('a'), ('a')",
        "select 1 / 0",
        "select 'x'::integer",
    ],
)
async def test_what_the_same_statement_meets_again_is_refused(database, sql):
    with pytest.raises(DatabaseRefused):
        await database.execute(sql)


async def test_a_value_that_the_driver_cannot_send_is_refused(database):
    with pytest.raises(DatabaseRefused):
        await database.fetch("select $1::integer", 2**40)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from reference.absent",
        "set transaction read only; insert into reference.merchant (name) values ('a')",
        "select pg_sleep(30)",
        "select pg_terminate_backend(pg_backend_pid())",
    ],
)
async def test_what_a_person_or_time_mends_is_away(database, sql):
    with pytest.raises(DatabaseAway):
        async with database.transaction() as session:
            await session.execute(sql)


async def test_it_serves_again_after_it_was_away(database):
    with pytest.raises(DatabaseAway):
        await database.execute("select pg_terminate_backend(pg_backend_pid())")
    assert await database.fetch_value("select 7") == 7


async def test_first_callers_at_once_share_one_bounded_pool(database):
    names = await asyncio.gather(
        *(database.fetch_value("select pg_backend_pid()") for _ in range(10))
    )
    assert len(set(names)) <= 2


async def test_commits_are_durable_whatever_the_server_s_default(database):
    assert await database.fetch_value("show synchronous_commit") == "on"
    session = await database.dedicated()
    assert await session.fetch_value("show synchronous_commit") == "on"
    await session.close()
