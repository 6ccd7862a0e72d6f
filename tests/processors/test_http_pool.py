"""The adapter's connections: bounded, kept, used again."""

import asyncio

from tests.processors.conftest import MakeCharge, MakeProcessor, StartRaw
from tests.processors.raw import Connection

from voltpay.processors.seam import Executed


async def _answer_all(connection: Connection) -> None:
    while True:
        await connection.read()
        await asyncio.sleep(0.001)
        await connection.answer(200, b"{}")


async def test_sockets_stay_within_their_bound_however_many_charges_are_made(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(_answer_all)
    processor = processor_at(server.url, connections_max=40)

    async def charge_many() -> None:
        for _ in range(15):
            assert isinstance(await processor.charge(charge_of(), 5000), Executed)

    for _ in range(3):
        await asyncio.gather(*(charge_many() for _ in range(60)))

    assert 20 < server.open_max <= 40
    assert server.connections <= 40


async def test_one_connection_carries_charge_after_charge(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(_answer_all)
    processor = processor_at(server.url)

    for _ in range(20):
        assert isinstance(await processor.charge(charge_of(), 1000), Executed)

    assert server.connections == 1


async def test_after_closing_the_next_call_connects_anew(
    raw: StartRaw, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    server = await raw(_answer_all)
    processor = processor_at(server.url)
    await processor.charge(charge_of(), 1000)

    await processor.close()
    await processor.close()

    assert isinstance(await processor.charge(charge_of(), 1000), Executed)
    assert server.connections == 2
