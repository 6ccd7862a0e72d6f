"""The adapter against answers on the wire: what it sends, and what it makes of what comes back."""

from collections.abc import Awaitable, Callable

import pytest
from tests.processors.conftest import NOON_MS, MakeCharge, MakeProcessor, StartRaw
from tests.processors.raw import Connection

from voltpay.processors.http import StatementUnavailable
from voltpay.processors.seam import (
    Absent,
    Declined,
    Duplicate,
    Executed,
    Found,
    Health,
    NoHealth,
    NotDone,
    Unknown,
)

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
Script = Callable[[Connection], Awaitable[None]]


def always(status: int, body: bytes = b"", *headers: bytes) -> Script:
    async def script(connection: Connection) -> None:
        while True:
            await connection.read()
            await connection.answer(status, body, *headers)

    return script


async def test_a_charge_is_one_post_with_the_contracts_body(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    bodies: list[bytes] = []

    async def keep(connection: Connection) -> None:
        bodies.append(await connection.read())
        await connection.answer(200)

    server = await raw(keep)
    charge = charge_of(amount_minor=5, traceparent=TRACE)

    assert await processor_at(server.url).charge(charge, 1000) == Executed(5, NOON_MS)
    assert bodies == [
        b'{"correlationId":"%s","amount":0.05,"requestedAt":"2025-07-15T12:00:00.000Z"}'
        % str(charge.payment_id).encode()
    ]
    assert server.heads[0].startswith(b"POST /payments HTTP/1.1\r\n")
    assert b"content-type: application/json\r\n" in server.heads[0].lower()
    assert b"traceparent: " + TRACE.encode() in server.heads[0].lower()


@pytest.mark.parametrize("traceparent", ["", "00-x", TRACE + "\r\nx: y", TRACE.upper()])
async def test_a_traceparent_that_is_none_is_left_out(
    traceparent: str, raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(always(200))

    await processor_at(server.url).charge(charge_of(traceparent=traceparent), 1000)

    assert b"traceparent" not in server.heads[0].lower()


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (always(200, b'{"message":"ok"}'), Executed(1990, NOON_MS)),
        (always(200, b'{"amount":19.91}'), Unknown("the answer speaks of another payment")),
        (always(200, b"it works"), Unknown("unreadable answer")),
        (always(200, b" " * 70_000 + b"{"), Unknown("unreadable answer")),
        (always(200, b"{}", b"content-encoding: gzip"), Executed(1990, NOON_MS)),
        (always(200, b"{}", b"x-odd: \xff\xfe"), Executed(1990, NOON_MS)),
        (always(402, b'{"declined":"no_funds"}'), Declined("no_funds")),
        (always(402, b"{}"), Unknown("402 without a reason")),
        (always(404), Unknown("status 404")),
        (always(422), Duplicate()),
        (always(429, b"", b"retry-after: 2"), NotDone("429", False, 2000)),
        (always(429, b"", b"retry-after: \xff"), NotDone("429", False, 0)),
        (always(500), NotDone("500", True)),
        (always(500, b"{}"), Unknown("status 500")),
        (always(503), Unknown("status 503")),
    ],
)
async def test_each_answer_to_a_charge_becomes_its_outcome(
    script: Script, outcome, raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(script)

    assert await processor_at(server.url).charge(charge_of(), 1000) == outcome


async def test_an_answer_in_chunks_is_read_to_its_end(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    async def in_chunks(connection: Connection) -> None:
        await connection.read()
        await connection.send(b"HTTP/1.1 402 X\r\ntransfer-encoding: chunked\r\n\r\n")
        for part in (b'{"decl', b'ined":', b'"no"}'):
            await connection.send(b"%x\r\n%s\r\n" % (len(part), part))
        await connection.send(b"0\r\n\r\n")

    server = await raw(in_chunks)

    assert await processor_at(server.url).charge(charge_of(), 1000) == Declined("no")


async def test_a_payment_in_another_currency_is_not_sent(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(always(200))
    processor = processor_at(server.url, currency="JPY")

    assert processor.currencies == {"JPY"}
    assert await processor.charge(charge_of(), 1000) == NotDone("currency", False)
    assert server.requests == []


async def test_a_currency_without_decimals_is_sent_as_a_whole_number(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    async def answer_with_what_was_asked(connection: Connection) -> None:
        body = await connection.read()
        await connection.answer(200 if b'"amount":1990,' in body else 400, body)

    server = await raw(answer_with_what_was_asked)
    charge = charge_of(currency="JPY")

    outcome = await processor_at(server.url, currency="JPY").charge(charge, 1000)

    assert outcome == Executed(1990, NOON_MS)


async def test_questions_go_to_their_own_paths(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    payment_id = charge_of().payment_id
    payment = (
        b'{"correlationId":"%s","amount":19.9,"requestedAt":"2025-07-15T12:00:00Z"}'
        % str(payment_id).encode()
    )

    async def by_path(connection: Connection) -> None:
        while True:
            await connection.read()
            if connection.server.requests[-1].endswith("service-health"):
                await connection.answer(200, b'{"failing":false,"minResponseTime":3}')
            else:
                await connection.answer(200, payment)

    server = await raw(by_path)
    processor = processor_at(server.url + "/")

    assert await processor.health(1000) == Health(False, 3)
    assert await processor.find(payment_id, 1000) == Found(1990, NOON_MS)
    assert server.requests == ["/payments/service-health", f"/payments/{payment_id}"]


async def test_absent_and_too_often_are_told_apart_from_failing(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    absent = await raw(always(404))
    busy = await raw(always(429, b"", b"retry-after: 4"))

    assert await processor_at(absent.url).find(charge_of().payment_id, 1000) == Absent()
    assert await processor_at(busy.url).health(1000) == NoHealth("status 429", 4000)


@pytest.mark.parametrize(
    "script",
    [
        always(404),
        always(500),
        always(200, b"{}"),
        always(200, b'{"items":[],"next":1}'),
        always(200, b'{"items":[{}],"next":null}'),
    ],
)
async def test_a_journal_that_cannot_be_read_to_its_end_raises(
    script: Script, raw: StartRaw, processor_at: MakeProcessor
) -> None:
    server = await raw(script)

    with pytest.raises(StatementUnavailable):
        async for _ in processor_at(server.url).statement():
            pass
