"""`POST /payments` over real HTTP: what is answered to good, wrong, rude and slow clients."""

import asyncio
import json
from uuid import uuid4

import pytest
from tests.ingest.desk import desk_on
from tests.runtime.served import request, served

from voltpay.foundation.runtime.http import PROBLEM_BASE
from voltpay.foundation.runtime.serve import make_app
from voltpay.services.ingest import api
from voltpay.services.ingest.settings import IngestSettings

JSON = {"Content-Type": "application/json"}
SETTINGS = IngestSettings(body_bytes_max=1_024, body_timeout_ms=200)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def desk(log_url):
    async with desk_on(log_url) as made:
        yield made


@pytest.fixture
async def http(desk):
    app = make_app(api.handlers(desk.accept, SETTINGS, "EUR"), dict, {})
    async with served(app) as made:
        yield made


def body(**fields):
    return json.dumps({"correlationId": str(uuid4()), "amount": 19.90} | fields).encode()


def problem(answer, status, slug):
    """Assert that it is this problem; gives the fields that it names."""
    assert (answer.status, answer.body["type"]) == (status, PROBLEM_BASE + slug)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    return answer.body.get("fields", [])


async def test_a_payment_is_promised_with_its_place(http, desk):
    content = body(amount=5)
    name = json.loads(content)["correlationId"]
    answer = await http.ask("POST", "/payments", content, JSON | {"X-Request-Id": "mine"})
    assert answer.status == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["location"] == f"/payments/{name}/status"
    assert answer.headers["x-request-id"] == "mine"
    assert "idempotency-replayed" not in answer.headers
    assert (
        answer.raw
        == (
            f'{{"correlationId":"{name}","status":"queued","amount":5.00,"currency":"EUR",'
            '"acceptedAt":"2023-11-14T22:13:20.000Z"}'
        ).encode()
    )
    assert [str(message.payment.id) for message in desk.payments()] == [name]


async def test_the_same_again_is_answered_with_the_same_bytes_and_says_so(http, desk):
    content = body()
    first = await http.ask("POST", "/payments", content, JSON)
    desk.clock.at_ms += 60_000
    second = await http.ask("POST", "/payments", content, JSON)
    assert (second.status, second.raw) == (202, first.raw)
    assert second.headers["idempotency-replayed"] == "true"


async def test_an_amount_is_the_same_however_it_is_written(http, desk):
    name = str(uuid4())
    for amount in ("19.9", "19.90", '"19.9"', '"19.900"', "1.99e1"):
        content = f'{{"correlationId":"{name}","amount":{amount}}}'.encode()
        answer = await http.ask("POST", "/payments", content, JSON)
        assert (answer.status, answer.body["amount"]) == (202, 19.9)
    assert len(desk.payments()) == 1


async def test_metadata_is_the_same_in_any_order(http, desk):
    name = str(uuid4())
    for metadata in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}):
        content = body(correlationId=name, metadata=metadata)
        assert (await http.ask("POST", "/payments", content, JSON)).status == 202
    assert len(desk.payments()) == 1


async def test_another_payment_under_the_same_id_is_refused(http):
    name = str(uuid4())
    await http.ask("POST", "/payments", body(correlationId=name), JSON)
    answer = await http.ask("POST", "/payments", body(correlationId=name, amount=5), JSON)
    assert problem(answer, 422, "conflicting-repeat") == ["amount"]


async def test_what_is_malformed_or_wrong_is_refused_and_nothing_stored(http, desk):
    cases = [
        (b"", 400, "malformed-body", []),
        (b'{"amount": NaN}', 400, "malformed-body", []),
        (b'{"amount": 1, "amount": 1}', 400, "malformed-body", ["amount"]),
        (body(amount=-1), 422, "invalid-payment", ["amount"]),
        (body(amount=1.999), 422, "invalid-payment", ["amount"]),
        (body(more=1), 422, "invalid-payment", ["more"]),
        (body(currency="USD"), 422, "invalid-payment", ["currency"]),
    ]
    for content, status, slug, fields in cases:
        answer = await http.ask("POST", "/payments", content, JSON)
        assert problem(answer, status, slug) == fields
    assert desk.bodies() == []


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json; charset=latin-1", "application/jsonx"]
)
async def test_another_type_than_json_is_refused(http, kind):
    headers = {"Content-Type": kind} if kind else {}
    problem(await http.ask("POST", "/payments", body(), headers), 415, "not-json")


@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "APPLICATION/JSON"])
async def test_json_by_any_of_its_names_is_taken(http, kind):
    assert (await http.ask("POST", "/payments", body(), {"Content-Type": kind})).status == 202


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_another_method_is_not_allowed(http, method):
    answer = await http.ask(method, "/payments")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(http, desk):
    async with http.line() as line:
        head = request("POST", "/payments", JSON, {"Content-Length": "1000000000"})
        await line.send(head)
        problem(await line.answer(), 413, "body-too-large")
    assert desk.bodies() == []


@pytest.mark.parametrize("size", [1_025, 200_000])
async def test_a_body_that_turns_out_too_large_is_refused(http, size):
    chunk = b" " * size
    async with http.line() as line:
        await line.send(request("POST", "/payments", JSON, {"Transfer-Encoding": "chunked"}))
        await line.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunk), chunk))
        problem(await line.answer(), 413, "body-too-large")


async def test_a_body_of_the_largest_size_is_taken_in_one_piece_or_in_many(http):
    content = body().ljust(1_024)
    assert (await http.ask("POST", "/payments", content, JSON)).status == 202
    async with http.line() as line:
        await line.send(request("POST", "/payments", JSON, {"Content-Length": "1024"}))
        for at in range(0, 1_024, 256):
            await line.send(content[at : at + 256])
            await asyncio.sleep(0.005)
        answer = await line.answer()
    assert answer.headers["idempotency-replayed"] == "true"


async def test_a_body_that_does_not_come_is_given_up(http, desk):
    async with http.line() as line:
        await line.send(request("POST", "/payments", JSON, {"Content-Length": "100"}) + b"{")
        problem(await line.answer(), 408, "body-too-slow")
    assert desk.bodies() == []


async def test_a_client_that_hangs_up_in_the_middle_is_promised_nothing(http, desk):
    async with http.line() as line:
        await line.send(request("POST", "/payments", JSON, {"Content-Length": "500"}) + b'{"amo')
    assert (await http.ask("POST", "/payments", body(), JSON)).status == 202
    assert len(desk.bodies()) == 1


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [(TRACE, TRACE), ("", ""), ("no trace", ""), (TRACE.upper(), ""), (TRACE + "-more", "")],
)
async def test_a_trace_is_passed_on_if_it_is_one(http, desk, given, passed_on):
    headers = JSON | ({"traceparent": given} if given else {})
    assert (await http.ask("POST", "/payments", body(), headers)).status == 202
    assert [message.payment.traceparent for message in desk.payments()] == [passed_on]


async def test_an_idempotency_key_stands_in_for_the_id(http, desk):
    answers = [
        await http.ask("POST", "/payments", b'{"amount":1}', JSON | {"Idempotency-Key": key})
        for key in ('"order-1"', "order-1", "order-2")
    ]
    names = [answer.body["correlationId"] for answer in answers]
    assert names[0] == names[1] != names[2]
    assert len(desk.payments()) == 2


async def test_an_overload_says_when_to_come_back(http, desk):
    desk.accept.is_overloaded = True
    answer = await http.ask("POST", "/payments", body(), JSON)
    problem(answer, 503, "overloaded")
    assert int(answer.headers["retry-after"]) > 0
    assert desk.bodies() == []


async def test_a_log_that_is_being_emptied_is_a_503_and_never_a_false_202(http, desk):
    await desk.log._server.call("SET", "epoch", "purging")
    answer = await http.ask("POST", "/payments", body(), JSON)
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert desk.bodies() == []


async def test_one_connection_carries_many_requests_good_and_bad(http, desk):
    async with http.line() as line:
        for content, status in ((body(), 202), (b"{", 400), (body(amount=0), 422), (body(), 202)):
            length = {"Content-Length": str(len(content))}
            await line.send(request("POST", "/payments", JSON, length) + content)
            assert (await line.answer()).status == status
    assert len(desk.payments()) == 2
