"""Accepting on a real intake: a promise is on the log, an id is claimed once."""

import asyncio
import json

import pytest
import redis
from tests.ingest.desk import SEALER, again, asked, desk_on, id_of
from tests.runtime.tiny import NAMES, promise

from voltpay.core.errors import Unavailable
from voltpay.core.money import CURRENCIES
from voltpay.foundation.engines.redis.intake import RedisIntake
from voltpay.foundation.engines.redis.names import EPOCH, PURGING
from voltpay.foundation.runtime.group_commit import TooManyWaiting
from voltpay.services.ingest.accept import ConflictingRepeat, Overloaded
from voltpay.services.ingest.parse import Invalid

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def desk(log_url):
    async with desk_on(log_url) as made:
        yield made


async def test_a_promise_is_on_the_log_when_it_is_given(desk):
    request = asked()
    accepted = await desk.accept(request, TRACE)
    assert (accepted.request, accepted.is_repeat) == (request, False)
    (message,) = desk.payments()
    payment = message.payment
    assert (payment.id, payment.amount_minor, payment.currency) == (request.id, 1990, "EUR")
    assert (payment.account_id, payment.merchant_id, payment.traceparent) == (
        "alice",
        "shop",
        TRACE,
    )
    assert payment.accepted_at_ms == accepted.accepted_at_ms == desk.clock.at_ms
    assert payment.epoch == 0


async def test_what_was_left_out_stays_empty_but_the_merchant(desk):
    await desk.accept(
        asked(account_id="", merchant_id="", description="", email="", metadata=b""), ""
    )
    (message,) = desk.payments()
    assert (message.payment.account_id, message.payment.merchant_id) == ("", "default")
    assert message.payment.details is None


async def test_the_same_again_gets_the_first_answer_and_is_not_appended_again(desk):
    request = asked()
    first = await desk.accept(request, "")
    desk.clock.at_ms += 5_000
    second = await desk.accept(again(request), "")
    assert second.is_repeat
    assert second.accepted_at_ms == first.accepted_at_ms
    assert len(desk.payments()) == 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"amount_minor": 1991}, "amount"),
        ({"account_id": "bob"}, "accountId"),
        ({"account_id": ""}, "accountId"),
        ({"merchant_id": "other"}, "merchantId"),
        ({"description": "another book"}, "description"),
        ({"email": "bob@example.org"}, "email"),
        ({"metadata": b'{"note": "tell"}'}, "metadata"),
    ],
)
async def test_another_payment_under_the_same_id_is_refused_and_the_field_named(desk, change, name):
    request = asked()
    await desk.accept(request, "")
    with pytest.raises(ConflictingRepeat) as refused:
        await desk.accept(again(request, **change), "")
    assert refused.value.fields == (name,)
    assert len(desk.payments()) == 1


async def test_every_field_that_differs_is_named(desk):
    request = asked()
    await desk.accept(request, "")
    with pytest.raises(ConflictingRepeat) as refused:
        await desk.accept(again(request, amount_minor=1, email="x@y.z", account_id="bob"), "")
    assert refused.value.fields == ("amount", "accountId", "email")


async def test_many_at_once_share_appends_and_every_id_is_promised_once(desk):
    requests = [asked(id=id_of(number % 100)) for number in range(500)]
    answers = await asyncio.gather(*(desk.accept(each, "") for each in requests))
    assert sorted(answer.is_repeat for answer in answers) == [False] * 100 + [True] * 400
    assert sorted(message.payment.id for message in desk.payments()) == [
        id_of(number) for number in range(100)
    ]


async def test_of_two_different_payments_at_once_under_one_id_one_is_promised(desk):
    request = asked()
    both = (request, again(request, amount_minor=5))
    results = await asyncio.gather(
        *(desk.accept(each, "") for each in both), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Accepted", "ConflictingRepeat"]
    assert len(desk.payments()) == 1


async def test_personal_data_is_nowhere_on_the_log_in_clear(desk, log_url):
    request = asked()
    await desk.accept(request, "")
    (body,) = desk.bodies()
    with redis.Redis.from_url(log_url) as client:
        claims = b"".join(client.get(key) for key in client.scan_iter(b"claim:*"))
    for secret in (b"alice@example.org", b"very private", b"do not tell"):
        assert secret not in body
        assert secret not in claims
    (message,) = desk.payments()
    details = json.loads(SEALER.open(message.payment.details, request.id.bytes))
    assert details == {
        "description": "a very private book",
        "email": "alice@example.org",
        "metadata": {"note": "do not tell"},
    }


async def test_a_currency_that_no_processor_takes_is_refused(desk):
    with pytest.raises(Invalid) as refused:
        await desk.accept(asked(currency=CURRENCIES["USD"]), "")
    assert refused.value.fields == ("currency",)
    assert desk.bodies() == []


async def test_after_a_purge_promises_carry_the_new_epoch(desk):
    await desk.accept(asked(), "")
    await desk.log.purge(7)
    request = asked()
    assert not (await desk.accept(request, "")).is_repeat
    (message,) = desk.payments()
    assert (message.payment.id, message.payment.epoch) == (request.id, 7)


async def test_while_a_purge_runs_nothing_is_promised(desk, log_url):
    await desk.accept(asked(), "")
    with redis.Redis.from_url(log_url) as client:
        client.set(EPOCH, PURGING)
    with pytest.raises(Unavailable):
        await desk.accept(asked(), "")
    assert len(desk.payments()) == 1
    await desk.log.purge(8)
    await desk.accept(asked(), "")
    assert [message.payment.epoch for message in desk.payments()] == [8]


async def test_a_backlog_above_its_bound_refuses_until_it_is_worked_off(log_url):
    async with desk_on(log_url, backlog_max=100) as desk:
        await desk.log.write(promise(number) for number in range(100))
        await desk.guard.look()
        await desk.accept(asked(), "")
        await desk.guard.look()
        with pytest.raises(Overloaded) as refused:
            await desk.accept(asked(), "")
        assert refused.value.retry_after_s > 0
        assert len(desk.bodies()) == 101
        consumer = desk.log.shared(NAMES.accepted, "routing")
        await consumer.finish(await consumer.take(10, 0), [])
        await desk.guard.look()
        await desk.accept(asked(), "")


async def test_a_log_whose_memory_is_at_its_share_refuses(desk, log_url):
    with redis.Redis.from_url(log_url) as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", int(used * 1.2))
        await desk.guard.look()
        with pytest.raises(Overloaded):
            await desk.accept(asked(), "")
        client.config_set("maxmemory", used * 10)
        await asyncio.sleep(0.15)
        await desk.guard.look()
        await desk.accept(asked(), "")
    assert len(desk.bodies()) == 1


async def test_a_log_that_is_away_makes_no_promise(log_url, tmp_path):
    away = RedisIntake(f"unix://{tmp_path}/nobody")
    async with desk_on(log_url, intake=away) as desk:
        with pytest.raises(Unavailable):
            await desk.accept(asked(), "")
        with pytest.raises(Unavailable):
            await desk.guard.look()
        assert desk.bodies() == []
    await away.close()


async def test_more_requests_at_once_than_may_wait_are_refused_and_the_others_served(log_url):
    real = RedisIntake(log_url)

    class Held:
        gate = asyncio.Event()
        epoch = real.epoch
        find = real.find
        is_full = real.is_full

        async def accept(self, claims, epoch):
            await self.gate.wait()
            return await real.accept(claims, epoch)

    held = Held()
    async with desk_on(log_url, intake=held, waiting_max=16, group_max=4) as desk:
        tasks = [asyncio.create_task(desk.accept(asked(), "")) for _ in range(40)]
        await asyncio.sleep(0.05)
        refused = [task for task in tasks if task.done()]
        assert all(isinstance(task.exception(), TooManyWaiting) for task in refused)
        held.gate.set()
        promised = [task for task in tasks if task not in refused]
        await asyncio.gather(*promised)
        assert len(desk.bodies()) == len(promised) in range(16, 21)
    await real.close()


async def test_an_append_that_takes_much_longer_than_usual_asks_others_to_hold_back(log_url):
    real = RedisIntake(log_url)

    class Slow:
        took_ms = 1
        epoch = real.epoch
        find = real.find
        is_full = real.is_full

        async def accept(self, claims, epoch):
            desk.clock.at_ms += self.took_ms
            return await real.accept(claims, epoch)

    slow = Slow()
    async with desk_on(log_url, intake=slow) as desk:
        await desk.accept(asked(), "")
        assert not desk.courtesy.asked_ms
        slow.took_ms = 50
        await desk.accept(asked(), "")
        assert desk.courtesy.asked_ms == desk.clock.at_ms
    await real.close()
