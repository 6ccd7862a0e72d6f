"""Preparing an installation: what an interrupted purge left, and engines that lose things."""

import asyncio

import asyncpg
import pytest
import redis
from pydantic import SecretStr

from voltpay.app.engines import open_engines
from voltpay.app.prepare import prepare
from voltpay.app.settings import Settings
from voltpay.core.errors import Misconfigured


@pytest.fixture
def settings(database_url, log_url, cache_url):
    """Settings of an installation on the test's engines."""
    return Settings(
        log_url=log_url,
        cache_url=cache_url,
        database_url=SecretStr(database_url),
        secret=SecretStr("s" * 40),
    )


def log_epoch(settings):
    """The epoch that the log accepts."""

    async def ask():
        opened = open_engines(settings, "test")
        try:
            return await opened.intake.epoch()
        finally:
            await opened.close()

    return asyncio.run(ask())


def execute(settings, sql):
    """Run a statement on the installation's database."""

    async def run():
        connection = await asyncpg.connect(settings.database_url.get_secret_value())
        await connection.execute(sql)
        await connection.close()

    asyncio.run(run())


def test_a_purge_that_was_interrupted_is_finished_by_the_next_start(settings):
    prepare(settings)
    execute(settings, "update reference.installation set epoch = 3")
    with redis.Redis.from_url(settings.log_url) as client:
        client.set("epoch", "purging")
    prepare(settings)
    assert log_epoch(settings) == 3


def test_a_log_that_lost_its_epoch_gets_that_of_the_database(settings):
    prepare(settings)
    execute(settings, "update reference.installation set epoch = 2")
    prepare(settings)
    assert log_epoch(settings) == 2


def test_a_log_ahead_of_the_database_is_left_as_it_is(settings):
    prepare(settings)
    with redis.Redis.from_url(settings.log_url) as client:
        client.set("epoch", 5)
    prepare(settings)
    assert log_epoch(settings) == 5


def test_a_log_that_may_lose_an_append_is_refused(settings):
    with redis.Redis.from_url(settings.log_url) as client:
        client.config_set("appendfsync", "everysec")
        try:
            with pytest.raises(Misconfigured, match="appendfsync"):
                prepare(settings)
        finally:
            client.config_set("appendfsync", "always")
