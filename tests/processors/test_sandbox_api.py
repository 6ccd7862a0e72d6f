"""The sandbox over HTTP, as the challenge describes it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from pyreqwest.client import ClientBuilder
from tests.processors.conftest import NOON_MS, MakeCharge, StartSandbox

from voltpay.core.times import time_text
from voltpay.processors.protocol import payment_json
from voltpay.processors.sandbox.api import sandbox_app
from voltpay.processors.sandbox.charging import AT_ONCE_MAX, WAITING_MAX
from voltpay.processors.sandbox.control import SandboxControl, SandboxUnavailable
from voltpay.processors.seam import Absent, Duplicate, Executed, Found, Health, NoHealth, NotDone

Answer = tuple[int, bytes, str | None]
Call = Callable[..., Awaitable[Answer]]


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    client = ClientBuilder().no_proxy().timeout(timedelta(seconds=10)).build()

    async def one(method: str, url: str, body: bytes = b"", token: str = "") -> Answer:
        request = client.request(method, url).body_bytes(body)
        if token:
            request = request.header("X-Rinha-Token", token)
        answer = await request.build().send()
        return answer.status, bytes(await answer.bytes()), answer.get_header("retry-after")

    yield one
    await client.close()


async def test_a_charge_is_executed_once_and_found(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    charge = charge_of()

    assert await one.processor.find(charge.payment_id, 1000) == Absent()
    assert await one.processor.charge(charge, 1000) == Executed(1990, NOON_MS)
    assert await one.processor.charge(charge, 1000) == Duplicate()
    assert await one.processor.find(charge.payment_id, 1000) == Found(1990, NOON_MS)
    assert (await one.control.summary()).total_requests == 1


async def test_a_failing_sandbox_says_a_definite_no_and_records_nothing(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    await one.control.set_failure(True)
    charge = charge_of()

    assert await one.processor.charge(charge, 1000) == NotDone("500", counts_for_breaker=True)
    assert await one.processor.find(charge.payment_id, 1000) == Absent()
    await one.control.set_failure(False)
    assert isinstance(await one.processor.charge(charge, 1000), Executed)


async def test_the_delay_comes_before_the_failure_flag(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    await one.control.set_delay(2_000)
    charge = charge_of()
    waiting = asyncio.create_task(one.processor.charge(charge, 5000))
    await asyncio.sleep(0.05)
    assert await one.processor.find(charge.payment_id, 1000) == Absent()

    await one.control.set_failure(True)

    assert await waiting == NotDone("500", counts_for_breaker=True)


async def test_a_payment_is_made_though_its_client_hung_up(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    await one.control.set_delay(2_000)
    charge = charge_of()
    _, writer = await asyncio.open_connection("127.0.0.1", int(one.url.rsplit(":", 1)[1]))
    body = payment_json(charge.payment_id, 1990, 2, NOON_MS)
    writer.write(b"POST /payments HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body))
    writer.write(body)
    await writer.drain()
    await asyncio.sleep(0.03)
    writer.close()
    assert await one.processor.find(charge.payment_id, 1000) == Absent()

    await one.app._charging.drain()

    assert await one.processor.find(charge.payment_id, 1000) == Found(1990, NOON_MS)


async def test_a_charge_whose_handler_is_cancelled_is_made_too(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    await one.control.set_delay(1_000)
    charge = charge_of()
    body = payment_json(charge.payment_id, 1990, 2, NOON_MS)
    handler = asyncio.create_task(one.app._charging.charge(body))
    await asyncio.sleep(0.01)
    handler.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handler

    await one.app._charging.drain()

    assert await one.processor.find(charge.payment_id, 1000) == Found(1990, NOON_MS)


async def test_beyond_800_at_once_and_500_waiting_it_refuses(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox()
    await one.control.set_delay(1_000)

    def send() -> asyncio.Task[object]:
        body = payment_json(charge_of().payment_id, 1, 2, NOON_MS)
        return asyncio.create_task(one.app._charging.charge(body))

    taken = [send() for _ in range(AT_ONCE_MAX + WAITING_MAX)]
    await asyncio.sleep(0.1)

    refused = await one.processor.charge(charge_of(), 2000)
    assert refused == NotDone("429", counts_for_breaker=False, retry_after_ms=1000)
    assert {reply.status for reply in await asyncio.gather(*taken)} == {200}
    assert isinstance(await one.processor.charge(charge_of(), 5000), Executed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"correlationId":"x","amount":1,"requestedAt":"2025-07-15T12:00:00Z"}',
        payment_json(uuid4(), 100, 2, NOON_MS).replace(b"1.00", b"1.001"),
        payment_json(uuid4(), 100, 2, NOON_MS).replace(b"1.00", b"0"),
        payment_json(uuid4(), 100, 2, NOON_MS).replace(b"1.00", b"1e99"),
        payment_json(uuid4(), 100, 2, NOON_MS).replace(b"Z", b""),
    ],
)
async def test_a_malformed_charge_is_refused_and_records_nothing(
    body: bytes, sandbox: StartSandbox, call: Call
) -> None:
    one = await sandbox()

    assert (await call("POST", one.url + "/payments", body))[0] == 400
    assert (await one.control.summary()).total_requests == 0


async def test_a_body_beyond_64_kb_is_refused(sandbox: StartSandbox, call: Call) -> None:
    one = await sandbox()
    body = payment_json(uuid4(), 100, 2, NOON_MS)

    assert (await call("POST", one.url + "/payments", body + b" " * 65_536))[0] == 413
    assert (await call("POST", one.url + "/payments", body + b" " * 40_000))[0] == 200


async def test_what_it_does_not_know_is_not_found(sandbox: StartSandbox, call: Call) -> None:
    one = await sandbox()

    for method, path in (
        ("GET", "/"),
        ("GET", "/payments"),
        ("GET", "/payments/x"),
        ("DELETE", f"/payments/{uuid4()}"),
        ("POST", "/admin/payments-summary"),
        ("GET", "/admin/purge-payments"),
    ):
        assert (await call(method, one.url + path))[0] == 404
    assert (await call("PUT", one.url + "/admin/configurations/x", b"{}", "123"))[0] == 404


async def test_of_four_questions_for_health_two_are_held_and_the_last_is_refused(
    sandbox: StartSandbox,
) -> None:
    one = await sandbox(health_window_ms=500)

    assert await one.processor.health(5000) == Health(False, 0)
    held = [asyncio.create_task(one.processor.health(5000)) for _ in range(2)]
    await asyncio.sleep(0.05)
    refused = await one.processor.health(5000)

    assert refused == NoHealth("status 429", 1000)
    assert await asyncio.gather(*held) == [Health(False, 0)] * 2


async def test_health_tells_delay_and_failure(sandbox: StartSandbox) -> None:
    one = await sandbox(health_window_ms=1)
    await one.control.set_delay(70)
    await one.control.set_failure(True)

    assert await one.processor.health(1000) == Health(True, 70)


async def test_the_summary_counts_inclusive_bounds_and_the_fee(
    sandbox: StartSandbox, charge_of: MakeCharge, call: Call
) -> None:
    one = await sandbox()
    for offset in range(5):
        await one.processor.charge(charge_of(requested_at_ms=NOON_MS + offset), 1000)
    url = one.url + "/admin/payments-summary"

    _, everything, _ = await call("GET", url)
    bounds = f"?from={time_text(NOON_MS + 1)}&to={time_text(NOON_MS + 3)}"
    _, within, _ = await call("GET", url + bounds)
    _, half_bound, _ = await call("GET", f"{url}?from={time_text(NOON_MS + 1)}")

    assert b'"totalAmount":99.50,' in everything
    assert json.loads(everything) == {
        "totalAmount": 99.5,
        "totalRequests": 5,
        "totalFee": 4.975,
        "feePerTransaction": 0.05,
    }
    assert json.loads(within)["totalRequests"] == 3
    assert json.loads(half_bound)["totalRequests"] == 5
    assert (await call("GET", url + "?from=x&to=y"))[0] == 400


async def test_the_statement_is_the_journal_page_by_page(
    sandbox: StartSandbox, charge_of: MakeCharge, call: Call
) -> None:
    one = await sandbox()
    charges = [charge_of(requested_at_ms=NOON_MS + offset) for offset in range(5)]
    for charge in charges:
        await one.processor.charge(charge, 1000)

    _, body, _ = await call("GET", one.url + "/admin/payments?after=1&limit=2")
    page = json.loads(body)
    everything = [row async for rows in one.processor.statement() for row in rows]
    within = [
        row.payment_id
        async for rows in one.processor.statement(NOON_MS + 1, NOON_MS + 3)
        for row in rows
    ]

    assert [item["sequence"] for item in page["items"]] == [2, 3]
    assert page["next"] == 3
    assert [row.payment_id for row in everything] == [charge.payment_id for charge in charges]
    assert within == [charge.payment_id for charge in charges[1:4]]
    assert (await call("GET", one.url + "/admin/payments?after=-1"))[0] == 400


async def test_a_statement_of_many_pages_is_whole(
    sandbox: StartSandbox,
) -> None:
    one = await sandbox()
    ids = [uuid4() for _ in range(4_500)]
    for payment_id in ids:
        one.app._journal.append(payment_id.bytes, 1, NOON_MS)

    pages = [rows async for rows in one.processor.statement()]

    assert len(pages) == 3
    assert [row.payment_id for rows in pages for row in rows] == ids


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("delay", b'{"delay":-1}'),
        ("delay", b'{"delay":"1"}'),
        ("failure", b'{"failure":1}'),
        ("failure", b"{}"),
        ("token", b'{"token":""}'),
        ("faults", b'{"share":{"meteor":1}}'),
        ("faults", b'{"share":{"reset":2}}'),
        ("faults", b'{"shares":{}}'),
        ("faults", b"["),
    ],
)
async def test_configurations_need_the_token_and_the_right_shape(
    what: str, body: bytes, sandbox: StartSandbox, call: Call
) -> None:
    one = await sandbox()
    url = f"{one.url}/admin/configurations/{what}"

    assert (await call("PUT", url, body, "123"))[0] == 400
    assert (await call("PUT", url, body, "124"))[0] == 401
    assert (await call("PUT", url, body))[0] == 401


async def test_the_token_can_be_changed(sandbox: StartSandbox, call: Call) -> None:
    one = await sandbox()
    url = one.url + "/admin/configurations/"

    assert (await call("PUT", url + "token", b'{"token":"abc"}', "123"))[0] == 204
    assert (await call("PUT", url + "delay", b'{"delay":0}', "123"))[0] == 401
    assert (await call("PUT", url + "delay", b'{"delay":0}', "abc"))[0] == 200
    with pytest.raises(SandboxUnavailable):
        await one.control.set_delay(1)


async def test_a_purge_empties_it_and_leaves_delay_and_failure(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox(health_window_ms=1)
    await one.processor.charge(charge_of(), 1000)
    await one.control.set_delay(5)
    await one.control.set_failure(True)

    await one.control.purge()

    assert (await one.control.summary()).total_requests == 0
    assert await one.processor.health(1000) == Health(True, 5)


async def test_a_currency_without_decimals_is_booked_as_it_is(
    sandbox: StartSandbox, charge_of: MakeCharge
) -> None:
    one = await sandbox(currency="JPY")
    charge = charge_of(currency="JPY")

    assert isinstance(await one.processor.charge(charge, 1000), Executed)
    assert await one.processor.find(charge.payment_id, 1000) == Found(1990, NOON_MS)
    assert (await one.control.summary()).total_amount == Decimal(1990)


async def test_it_opens_and_closes_with_the_servers_lifespan(tmp_path: Path) -> None:
    class Fixed:
        def now_ms(self) -> int:
            return NOON_MS

        def monotonic_ms(self) -> int:
            return 0

        def random(self) -> float:
            return 0.5

    path = tmp_path / "one.journal"
    app = sandbox_app(path, name="x", fee=Decimal(0), currency="EUR", clock=Fixed(), chance=Fixed())
    events = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": next(events)}

    async def send(event: dict[str, str]) -> None:
        sent.append(event["type"])

    assert not path.exists()
    await app({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert path.exists()


async def test_control_of_a_sandbox_that_is_away_raises() -> None:
    async with SandboxControl("http://127.0.0.1:1") as control:
        with pytest.raises(SandboxUnavailable):
            await control.purge()
