"""HTTP of every role: problems, answers, request ids, admin calls, and stopping in good order."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from litestar import Request, Response, asgi, get, post
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from litestar.types import Receive, Scope, Send
from msgspec import Struct
from tests.runtime.served import request, served

from voltpay.core.errors import Broken, Rejected, Unavailable
from voltpay.foundation.runtime.http import (
    PROBLEM_BASE,
    answer,
    problem_of,
    problems,
    refuse_unknown_query,
)
from voltpay.foundation.runtime.serve import make_app


class Teapot(Rejected):
    """Only here."""

    slug = "teapot"
    status = 418
    title = "It is a teapot"


class Amount(Struct, rename="camel"):
    """Something with a decimal."""

    total_amount: Decimal


class Body(Struct, forbid_unknown_fields=True):
    """A typed body."""

    count: int


@get("/amount", responses=problems(400))
async def show_amount(request: Request[Any, Any, Any]) -> Response[Amount]:
    """Takes one parameter."""
    refuse_unknown_query(request, frozenset({"of"}))
    return answer(Amount(Decimal("10.10") * 3), headers={"Voltpay-Complete": "true"})


ERRORS = {
    "rejected": Teapot("short and stout", fields=("spout",)),
    "unavailable": Unavailable("the log is away", retry_after_s=7),
    "broken": Broken("ours"),
    "bug": KeyError("hunter2"),
}


def failing(what: str) -> HTTPRouteHandler:
    """A handler that raises it."""

    async def fail() -> None:
        raise ERRORS[what]

    return get(f"/failing/{what}")(fail)


@post("/typed")
async def take(data: JSONBody[Body]) -> None:
    """A body that Litestar validates."""


@asgi("/raw", copy_scope=False)
async def fail_raw(scope: Scope, receive: Receive, send: Send) -> None:
    """A raw handler that raises."""
    raise Teapot("raw")


HANDLERS = [show_amount, take, fail_raw, *map(failing, ERRORS)]
READY = {"loop": True}


@pytest.fixture
async def http():
    READY["loop"] = True
    async with served(make_app(HANDLERS, lambda: READY, {})) as made:
        yield made


async def test_a_decimal_goes_out_as_a_number_with_all_its_decimals(http):
    got = await http.ask("GET", "/amount")
    assert (got.status, got.raw) == (200, b'{"totalAmount":30.30}')
    assert got.headers["voltpay-complete"] == "true"
    assert got.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("what", "status", "slug", "detail"),
    [
        ("rejected", 418, "teapot", "short and stout"),
        ("unavailable", 503, "unavailable", "the log is away"),
        ("broken", 500, "internal", None),
        ("bug", 500, "internal", None),
    ],
)
async def test_an_error_is_answered_with_its_problem(http, what, status, slug, detail):
    got = await http.ask("GET", f"/failing/{what}")
    assert got.status == got.body["status"] == status
    assert got.headers["content-type"] == "application/problem+json"
    assert got.body["type"] == PROBLEM_BASE + slug
    assert got.body["title"]
    assert got.body.get("detail") == detail
    assert got.headers.get("retry-after") == ("7" if status == 503 else None)
    assert got.body.get("fields") == (["spout"] if status == 418 else None)


async def test_what_went_wrong_inside_is_not_told_to_the_client(http):
    for what in ("broken", "bug"):
        got = await http.ask("GET", f"/failing/{what}")
        assert b"ours" not in got.raw
        assert b"hunter2" not in got.raw


async def test_a_raw_handler_s_error_is_a_problem_too(http):
    got = await http.ask("GET", "/raw")
    assert (got.status, got.body["type"]) == (418, PROBLEM_BASE + "teapot")


async def test_what_is_not_there_or_not_allowed_is_a_problem(http):
    missing = await http.ask("GET", "/nowhere")
    assert (missing.status, missing.body["type"]) == (404, PROBLEM_BASE + "not-found")
    wrong = await http.ask("POST", "/amount")
    assert (wrong.status, wrong.body["type"]) == (405, PROBLEM_BASE + "method-not-allowed")
    assert "GET" in wrong.headers["allow"]


@pytest.mark.parametrize("query", ["?on=1", "?of=1&of=2", "?of=1&x=2"])
async def test_an_unknown_or_repeated_parameter_is_refused_by_name(http, query):
    assert (await http.ask("GET", "/amount?of=1")).status == 200
    got = await http.ask("GET", "/amount" + query)
    assert (got.status, got.body["type"]) == (400, PROBLEM_BASE + "bad-request")
    assert got.body["fields"] in (["on"], ["of"], ["x"])


@pytest.mark.parametrize("body", [b"{", b'{"count":"x"}', b'{"count":1,"more":2}', b"[]"])
async def test_a_body_that_does_not_fit_is_a_bad_request(http, body):
    headers = {"Content-Type": "application/json"}
    assert (await http.ask("POST", "/typed", b'{"count":1}', headers)).status == 201
    got = await http.ask("POST", "/typed", body, headers)
    assert (got.status, got.body["type"]) == (400, PROBLEM_BASE + "bad-request")


async def test_every_answer_has_a_request_id_the_client_s_own_if_it_is_plain(http):
    own = await http.ask("GET", "/amount", headers={"X-Request-Id": "abc-123"})
    assert own.headers["x-request-id"] == "abc-123"
    ids = set()
    for given in ("", "a b", "x" * 65, "<script>", "--"):
        got = await http.ask("GET", "/nowhere", headers={"X-Request-Id": given})
        assert got.headers["x-request-id"] != given
        ids.add(got.headers["x-request-id"])
    assert len(ids) == 5


async def test_live_ready_metrics_and_schema_are_always_there(http):
    assert (await http.ask("GET", "/livez")).status == 200
    ready = await http.ask("GET", "/readyz")
    assert (ready.status, ready.body) == (200, {"loop": True})
    READY["loop"] = False
    waiting = await http.ask("GET", "/readyz")
    assert (waiting.status, waiting.body) == (503, {"loop": False})
    assert (await http.ask("GET", "/livez")).status == 200
    metrics = await http.ask("GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert b"voltpay_http_requests_total" in metrics.raw
    schema = await http.ask("GET", "/schema")
    assert {"/amount", "/typed"} <= schema.body["paths"].keys()
    assert "/livez" not in schema.body["paths"]


async def test_a_raw_handler_s_operation_is_put_into_the_schema():
    operation = {"/raw": {"post": {"operationId": "Raw", "responses": {}}}}
    async with served(make_app(HANDLERS, dict, operation)) as http:
        paths = (await http.ask("GET", "/schema")).body["paths"]
    assert paths["/raw"]["post"]["operationId"] == "Raw"


async def test_what_is_in_flight_is_answered_when_the_server_is_stopped():
    begun, gate = asyncio.Event(), asyncio.Event()

    @get("/slow")
    async def slow() -> dict[str, bool]:
        begun.set()
        await gate.wait()
        return {"done": True}

    async with served(make_app([slow], dict, {})) as http, http.line() as line:
        await line.send(request("GET", "/slow"))
        await asyncio.wait_for(begun.wait(), 5)
        http.stop.set()
        await asyncio.sleep(0.05)
        gate.set()
        assert (await line.answer()).body == {"done": True}


def test_an_exception_of_the_framework_becomes_a_problem_of_ours():
    details, _ = problem_of(NotFoundException())
    assert (details.status, details.type) == (404, PROBLEM_BASE + "not-found")
    extra = [{"key": "limit", "message": "must be above 0"}]
    details, _ = problem_of(HTTPException("no", status_code=400, extra=extra))
    assert (details.status, list(details.fields)) == (400, ["limit"])
    details, _ = problem_of(HTTPException("secret detail", status_code=500))
    assert (details.status, details.detail) == (500, "")


def test_problems_documents_each_status():
    documented = problems(404, 503)
    assert set(documented) == {404, 503}
    assert all(each.media_type == "application/problem+json" for each in documented.values())
