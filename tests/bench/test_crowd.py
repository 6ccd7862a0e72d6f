"""Crowds: every answer is counted, and who is late is late since it was due."""

import asyncio
from contextlib import asynccontextmanager
from itertools import islice, repeat

import msgspec
import pytest
import uvloop

from voltpay.cli.bench.crowd import closed, opened
from voltpay.cli.bench.moments import ramp, steady
from voltpay.cli.bench.requests import get, payments
from voltpay.cli.ports import free_ports
from voltpay.foundation.runtime.serve import server_on

STALL_S = 0.3


def answering(seen, stall_at=None):
    """An app that notes bodies, refuses every tenth, and stands still at one of them."""

    async def app(scope, receive, send):
        seen.append((await receive()).get("body", b""))
        if len(seen) == stall_at:
            await asyncio.sleep(STALL_S)
        status = 503 if len(seen) % 10 == 0 else 202
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


@asynccontextmanager
async def listening(app, **bounds):
    """The app on a port; gives its address."""
    (port,) = free_ports(1)
    server, stop = server_on(app, port=port, **bounds), asyncio.Event()
    serving = asyncio.create_task(server.run_until(stop))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    stop.set()
    await serving


def test_every_payment_has_an_id_of_its_own():
    bodies = [each.partition(b"\r\n\r\n")[2] for each in islice(payments("http://x:1"), 2_000)]
    asked = [msgspec.json.decode(body) for body in bodies]
    assert len({each["correlationId"] for each in asked}) == 2_000
    assert {len(each["correlationId"]) for each in asked} == {36}
    assert len({each["accountId"] for each in asked}) == 2_000


def test_a_ramp_grows_evenly_to_its_rate():
    moments = list(ramp(100, 10))
    assert len(moments) == 500
    assert len([at for at in moments if at < 5]) == 125
    assert 9.98 < moments[-1] < 10


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_closed_crowd_counts_every_answer_by_its_status(run):
    seen = []

    async def crowd():
        async with listening(answering(seen)) as url:
            return await closed(url, payments(url), clients=4, seconds=1)

    burst = run(crowd())
    assert burst.count(202) + burst.count(503) == len(seen) == len(burst.latencies_ms) > 40
    assert burst.count(503) == len(seen) // 10


async def test_an_open_crowd_sends_at_its_rate_and_charges_a_stall_to_all_who_waited():
    seen = []
    async with listening(answering(seen, stall_at=50)) as url:
        burst = await opened(url, repeat(get(url, "/")), steady(200, 1), clients=1)
    assert len(seen) == 200
    late = [each for each in burst.latencies_ms if each > 1000 * STALL_S / 3]
    assert len(late) > 20


async def test_an_open_crowd_does_not_wait_for_one_answer_before_it_asks_the_next():
    together, asked, all_asked = 5, 0, asyncio.Event()

    async def app(scope, receive, send):
        nonlocal asked
        asked += 1
        if asked == together:
            all_asked.set()
        await all_asked.wait()
        await answering([])(scope, receive, send)

    async with listening(app) as url:
        burst = await opened(url, repeat(get(url, "/")), repeat(0.0, together), clients=together)
    assert burst.count(202) == together


async def test_an_open_crowd_connects_again_where_the_server_closed_what_was_idle():
    places = set()

    async def app(scope, receive, send):
        places.add(scope["client"])
        await asyncio.sleep(0.05)
        await answering([])(scope, receive, send)

    async with listening(app, head_timeout_s=0.1) as url:
        burst = await opened(url, repeat(get(url, "/")), repeat(0.6, 4), clients=4)
    assert (burst.count(202), burst.count(0)) == (4, 0)
    assert len(places) == 4


async def test_what_a_server_that_went_away_cannot_take_is_counted_as_lost():
    seen = []
    async with listening(answering(seen)) as url:
        asking = asyncio.create_task(opened(url, repeat(get(url, "/")), steady(20, 1), clients=2))
        while len(seen) < 5:
            await asyncio.sleep(0.01)
    burst = await asking
    assert burst.count(202) >= 5
    assert sum(burst.statuses.values()) == 20
    assert burst.count(0) > 5
