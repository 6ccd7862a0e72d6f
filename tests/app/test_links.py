"""The wrapper that notes statuses: it never stands in the way of the log."""

import msgspec
import pytest
from prometheus_client import REGISTRY
from tests.core.payments import ID, payment, posted, settled
from tests.runtime.tiny import NAMES, PUBLISH, opened

from voltpay.app.links import StatusNoting
from voltpay.core.messages import (
    PaymentAccepted,
    PaymentDead,
    PaymentDeferred,
    Standing,
    standing_of,
)
from voltpay.core.payment import Status
from voltpay.foundation.engines.redis.cache import RedisCache

KEY = f"status:{ID}"


@pytest.fixture
async def log(log_url):
    async with opened(log_url) as made:
        yield made


@pytest.fixture
async def cache(cache_url):
    made = RedisCache(cache_url)
    yield made
    await made.close()


async def noted(cache):
    """The status in the cache; None if there is none."""
    (held,) = await cache.get([KEY])
    return held and msgspec.msgpack.decode(held[1], type=Standing)


async def test_what_was_appended_is_noted(log, cache):
    noting = StatusNoting(log, cache)
    await noting.append(PUBLISH([PaymentDeferred(payment(), "no room")]))
    assert (await noted(cache)).status is Status.PROCESSING
    await noting.append(PUBLISH([settled()]))
    assert (await noted(cache)).status is Status.COMPLETED


async def test_an_older_status_never_replaces_a_newer_one(log, cache):
    noting = StatusNoting(log, cache)
    await noting.append(PUBLISH([settled()]))
    await noting.append(PUBLISH([PaymentAccepted(payment()), PaymentDeferred(payment(), "late")]))
    assert (await noted(cache)).status is Status.COMPLETED


@pytest.mark.parametrize("kind", ["shared", "ordered"])
async def test_what_a_consumer_publishes_is_noted_too(log, cache, kind):
    noting = StatusNoting(log, cache)
    await log.write([PaymentAccepted(payment()), settled()])
    consumer = (
        noting.shared(NAMES.accepted, "routing")
        if kind == "shared"
        else noting.ordered(NAMES.settled, "ledger")
    )
    assert consumer.owned == (frozenset() if kind == "shared" else {0, 1})
    taken = await consumer.take(10, 0)
    assert len(taken) == 1
    await consumer.finish(taken, PUBLISH([PaymentDeferred(payment(), "no room")]))
    assert (await noted(cache)).status is Status.PROCESSING
    assert len(await consumer.take(10, 0)) == 0


async def test_a_posted_fact_is_not_noted_again(log, cache):
    await StatusNoting(log, cache).append(PUBLISH([posted(settled())]))
    assert await noted(cache) is None


async def test_a_cache_that_is_away_costs_a_status_and_nothing_else(log, tmp_path):
    cache = RedisCache(f"unix://{tmp_path}/nobody.sock")
    noting = StatusNoting(log, cache)
    before = REGISTRY.get_sample_value("voltpay_statuses_not_noted_total")
    await noting.append(PUBLISH([PaymentAccepted(payment()), settled()]))
    consumer = noting.shared(NAMES.accepted, "routing")
    taken = await consumer.take(10, 0)
    await consumer.finish(taken, PUBLISH([PaymentDeferred(payment(), "no room")]))
    assert await noting.backlog(NAMES.accepted, "routing") == 0
    assert await noting.backlog(NAMES.deferred, "routing") == 1
    assert await noting.backlog(NAMES.settled, "ledger") == 1
    assert REGISTRY.get_sample_value("voltpay_statuses_not_noted_total") == before + 3
    await cache.close()


async def test_a_letter_about_no_payment_is_no_stumbling_block(log, cache):
    letter = PaymentDead("t", "", "route", 0, 1, b"?", "Unreadable", 3, 1)
    assert standing_of(letter)[0] == ""
    await StatusNoting(log, cache).append(PUBLISH([letter]))
    assert await noted(cache) is None
    assert len(await log.dead()) == 1
