"""Health: asked for at the allowed rate over all processes, shared by all."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Response
from tests.routing.simulated import (
    House,
    SimulatedProcessor,
    a_payment,
    accepted,
)

from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.foundation.runtime.http import problem_of
from voltpay.processors.seam import Health, NoHealth
from voltpay.services.routing.api import Listed, handlers
from voltpay.services.routing.board import Board
from voltpay.services.routing.probe import Probe
from voltpay.services.routing.settings import ProbeSettings

Houses = Callable[..., House]
AN_HOUR = ProbeSettings(interval_ms=600_000, late_ms=60_000)


def probe_of(one: House, settings: ProbeSettings = AN_HOUR) -> Probe:
    return Probe(one.lanes, Board(one.database, one.owner), settings, one.clock)


@pytest.fixture
def two(house: Houses) -> tuple[House, House]:
    here = house()
    return here, house(*here.processors, owner="there")


async def allow_again(one: House) -> None:
    await one.database.execute("update routing.health set probed_at = now() - interval '1 hour'")


async def test_many_processes_ask_once_an_interval(two: tuple[House, House]) -> None:
    probes = [probe_of(one) for one in two * 3]
    await asyncio.gather(*(probe() for probe in probes * 3))
    default, fallback = two[0].processors
    assert (default.health_calls, fallback.health_calls) == (1, 1)
    await allow_again(two[0])
    await asyncio.gather(*(probe() for probe in probes))
    assert (default.health_calls, fallback.health_calls) == (2, 2)


async def test_what_one_hears_all_know(two: tuple[House, House]) -> None:
    here, there = two
    here.processors[0].health_answer = Health(True, 700)
    await probe_of(here)()
    await probe_of(there)()
    offer = there.lanes.by_name["default"].offer()
    assert (offer.failing, offer.min_response_ms) == (True, 700)
    assert there.lanes.by_name["fallback"].offer().failing is False


async def test_asked_too_often_keeps_the_last_state_and_waits_longer(house: Houses) -> None:
    one = house()
    one.processors[0].health_answer = Health(True, 5)
    await probe_of(one)()
    one.processors[0].health_answer = NoHealth("429", retry_after_ms=7_200_000)
    await allow_again(one)
    await probe_of(one)()
    assert one.lanes.by_name["default"].offer().failing
    await one.database.execute(
        "update routing.health set probed_at = probed_at - interval '1 hour'"
    )
    await probe_of(one)()
    assert one.processors[0].health_calls == 2


async def test_a_call_that_is_late_after_its_claim_is_not_made(house: Houses) -> None:
    one = house()
    board = Board(one.database, one.owner)
    claim = board.claim_probes

    async def claims_slowly(processors: list[str], interval_ms: int) -> list[str]:
        names = await claim(processors, interval_ms)
        one.clock.jumped_ms += AN_HOUR.late_ms + 100
        return list(names)

    board.claim_probes = claims_slowly
    await Probe(one.lanes, board, AN_HOUR, one.clock)()
    assert one.processors[0].health_calls == 0
    await probe_of(one)()
    assert one.processors[0].health_calls == 0


async def test_a_health_call_does_not_trip_the_breaker(house: Houses) -> None:
    one = house()
    one.processors[0].health_answer = NoHealth("timeout")
    await probe_of(one)()
    assert one.lanes.by_name["default"].offer().health_age_ms == -1


def an_app(database: Postgres, processors: list[SimulatedProcessor]) -> Litestar:
    def problem(_: Request, error: Exception) -> Response:
        details, headers = problem_of(error)
        return Response(details, status_code=details.status, headers=headers)

    fees = {"default": Decimal("0.05"), "fallback": Decimal("0.15")}
    listed = [Listed(each.name, each.currencies, fees[each.name]) for each in processors]
    return Litestar(
        handlers(Board(database, "api"), listed), exception_handlers={Exception: problem}
    )


def client_of(app: Litestar) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


async def test_processors_are_listed_before_anything_is_known(
    house: Houses, database: Postgres
) -> None:
    one = house()
    async with client_of(an_app(database, one.processors)) as client:
        answer = await client.get("/processors")
    assert answer.status_code == 200
    assert answer.json()["items"][0] == {
        "name": "default",
        "currencies": ["EUR"],
        "fee": 0.05,
        "health": None,
        "breaker": None,
        "latencyMs": 0,
        "share": 0.0,
        "inFlight": 0,
        "limit": 0,
    }


async def test_processors_show_what_all_processes_do(
    two: tuple[House, House], database: Postgres
) -> None:
    here, there = two
    for one, count in ((here, 3), (there, 1)):
        for _ in range(count):
            await one.route(accepted(a_payment()))
        await probe_of(one)()
    async with client_of(an_app(database, here.processors)) as client:
        default, fallback = (await client.get("/processors")).json()["items"]
    assert (default["name"], default["breaker"], default["share"]) == ("default", "closed", 1.0)
    assert (default["limit"], default["inFlight"]) == (32, 0)
    assert default["health"]["failing"] is False
    assert 0 <= default["health"]["ageMs"] < 60_000
    assert fallback["share"] == 0.0


async def test_a_query_that_it_does_not_know_is_refused(house: Houses, database: Postgres) -> None:
    async with client_of(an_app(database, house().processors)) as client:
        answer = await client.get("/processors?all=1")
    assert answer.status_code == 400
    assert answer.json()["fields"] == ["all"]
