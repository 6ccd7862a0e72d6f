"""What the adapter makes of a connection that fails: only a proof that nothing was sent is a no."""

import asyncio
import socket

import pytest
from tests.processors.conftest import MakeCharge, MakeProcessor, StartRaw
from tests.processors.raw import Connection, free_port

from voltpay.processors.seam import Executed, NotDone, Unanswered, Unknown

OK = b'{"message":"payment processed successfully"}'


async def _close_at_once(_connection: Connection) -> None:
    return


async def _reset_at_once(connection: Connection) -> None:
    connection.reset()


async def _read_and_close(connection: Connection) -> None:
    await connection.read()


async def _read_and_reset(connection: Connection) -> None:
    await connection.read()
    connection.reset()


async def _read_half_and_reset(connection: Connection) -> None:
    await connection.reader.readexactly(40)
    connection.reset()


async def _read_and_hang(connection: Connection) -> None:
    await connection.read()
    await asyncio.sleep(60)


async def _answer_no_http(connection: Connection) -> None:
    await connection.read()
    await connection.send(b"it works\r\n\r\n")


async def _answer_half_a_head(connection: Connection) -> None:
    await connection.read()
    await connection.send(b"HTTP/1.1 200 OK\r\ncontent-le")


async def _answer_half_a_body(connection: Connection) -> None:
    await connection.read()
    await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n" + OK)


async def _answer_half_a_body_and_hang(connection: Connection) -> None:
    await _answer_half_a_body(connection)
    await asyncio.sleep(60)


async def _answer_half_a_body_and_reset(connection: Connection) -> None:
    await _answer_half_a_body(connection)
    await asyncio.sleep(0.02)
    connection.reset()


async def _answer_chunks_without_end(connection: Connection) -> None:
    await connection.read()
    await connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")


BREAKING = [
    _close_at_once,
    _read_and_close,
    _read_and_reset,
    _read_half_and_reset,
    _read_and_hang,
    _answer_no_http,
    _answer_half_a_head,
    _answer_half_a_body,
    _answer_half_a_body_and_hang,
    _answer_half_a_body_and_reset,
    _answer_chunks_without_end,
]


@pytest.mark.parametrize("script", BREAKING, ids=lambda script: script.__name__)
async def test_a_connection_that_was_made_and_breaks_leaves_the_charge_unknown(
    script, raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(script)
    processor = processor_at(server.url)

    outcome = await processor.charge(charge_of(), 300)

    assert isinstance(outcome, Unknown)
    assert server.connections == 1
    assert len(server.requests) <= 1


@pytest.mark.parametrize("script", BREAKING, ids=lambda script: script.__name__)
async def test_a_question_whose_connection_breaks_teaches_nothing(
    script, raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(script)

    finding = await processor_at(server.url).find(charge_of().payment_id, 300)

    assert isinstance(finding, Unanswered)


async def test_a_refused_connection_proves_that_nothing_was_charged(
    processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    processor = processor_at(f"http://127.0.0.1:{free_port()}")

    outcome = await processor.charge(charge_of(), 1000)

    assert outcome == NotDone("no connection", counts_for_breaker=True)


async def test_a_reset_is_a_no_only_where_the_connection_was_never_handed_over(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(_reset_at_once)

    for _ in range(50):
        processor = processor_at(server.url)
        outcomes = await asyncio.gather(*(processor.charge(charge_of(), 1000) for _ in range(4)))
        nos = [each for each in outcomes if not isinstance(each, Unknown)]
        assert all(each == NotDone("no connection", counts_for_breaker=True) for each in nos)

    assert server.requests == []


async def test_a_name_that_does_not_resolve_proves_that_nothing_was_charged(
    processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    outcome = await processor_at("http://nowhere.invalid").charge(charge_of(), 5000)

    assert outcome == NotDone("no connection", counts_for_breaker=True)


async def test_a_timeout_is_unknown_even_where_the_connection_was_never_accepted(
    processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        outcome = await processor_at(f"http://127.0.0.1:{deaf.getsockname()[1]}").charge(
            charge_of(), 100
        )

    assert outcome == Unknown("timeout")


async def test_without_a_free_slot_nothing_was_sent_and_the_breaker_does_not_mind(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(_read_and_hang)
    processor = processor_at(server.url, connections_max=1)
    holding = asyncio.create_task(processor.charge(charge_of(), 600))
    await server.asked.wait()

    outcome = await processor.charge(charge_of(), 200)

    assert outcome == NotDone("no free connection", counts_for_breaker=False)
    assert len(server.requests) == 1
    assert await holding == Unknown("timeout")


async def test_without_time_nothing_is_sent_and_no_slot_is_kept(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    async def answer(connection: Connection) -> None:
        await connection.read()
        await connection.answer(200)

    server = await raw(answer)
    processor = processor_at(server.url, connections_max=1)

    for _ in range(3):
        assert isinstance(await processor.charge(charge_of(), 0), NotDone)
    assert server.requests == []
    assert isinstance(await processor.charge(charge_of(), 1000), Executed)


async def test_a_pooled_connection_that_breaks_after_reading_is_unknown_and_not_sent_again(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    async def answer_one_then_read_and_close(connection: Connection) -> None:
        await connection.read()
        await connection.answer(200, OK)
        await connection.read()

    server = await raw(answer_one_then_read_and_close)
    processor = processor_at(server.url)

    outcomes = [await processor.charge(charge_of(), 1000) for _ in range(6)]

    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Executed, Unknown] * 3
    assert len(server.requests) == len(set(server.requests)) == 6


async def test_no_request_is_ever_received_twice_when_idle_connections_close_at_reuse(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    async def answer_then_close_about_when_the_next_is_sent(connection: Connection) -> None:
        for turn in range(1 + connection.number % 3):
            await connection.read()
            await connection.answer(200, OK)
            for _ in range((connection.number + turn) % 5):
                await asyncio.sleep(0)
        if connection.number % 2:
            connection.reset()

    server = await raw(answer_then_close_about_when_the_next_is_sent)
    processor = processor_at(server.url, connections_max=10)
    outcomes: dict[str, object] = {}

    async def charge_many() -> None:
        for _ in range(150):
            charge = charge_of()
            outcomes[str(charge.payment_id)] = await processor.charge(charge, 2000)

    await asyncio.gather(*(charge_many() for _ in range(8)))

    assert len(server.requests) == len(set(server.requests))
    received = set(server.requests)
    for payment_id, outcome in outcomes.items():
        match outcome:
            case Executed():
                assert payment_id in received
            case NotDone():
                assert payment_id not in received
            case _:
                assert isinstance(outcome, Unknown)
    assert server.connections > 100
    assert any(isinstance(outcome, Executed) for outcome in outcomes.values())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_unknown_and_never_followed(
    status: int, raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    async def redirect(connection: Connection) -> None:
        while True:
            await connection.read()
            await connection.answer(status, b"", b"location: /payments/elsewhere")

    server = await raw(redirect)

    outcome = await processor_at(server.url).charge(charge_of(), 1000)

    assert outcome == Unknown(f"status {status}")
    assert len(server.requests) == 1


async def test_a_cancelled_charge_gives_its_slot_back_when_its_time_is_up(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    async def hang_at_first(connection: Connection) -> None:
        while True:
            await connection.read()
            if connection.number == 1:
                await asyncio.sleep(60)
            await connection.answer(200)

    server = await raw(hang_at_first)
    processor = processor_at(server.url, connections_max=1)
    task = asyncio.create_task(processor.charge(charge_of(), 300))
    await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert isinstance(await processor.charge(charge_of(), 2000), Executed)


async def test_closing_under_way_leaves_the_charge_unknown(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(_read_and_hang)
    processor = processor_at(server.url)
    task = asyncio.create_task(processor.charge(charge_of(), 5000))
    await server.asked.wait()

    await processor.close()

    assert isinstance(await task, Unknown)
