"""Bad input on a running Voltpay: a definite refusal, nothing stored, and the process lives on."""

import json
import subprocess
import time
import uuid

import pytest
import redis
from tests.journeys.inside import journal
from tests.stack import Stack
from tests.wire import PROBLEM, Wire, chunk, head

from voltpay.foundation.engines.embedded import installed_urls
from voltpay.foundation.engines.redis.names import CLAIM_PREFIX

BODY_TIMEOUT_MS = 700
FLOOD_MIB = 64
GROWTH_MAX_MIB = 32
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
ID = uuid.UUID("6b1f0c1e-8a3d-4c55-9f6e-2d1f3a4b5c6d")


@pytest.fixture(scope="module")
def stack(folder):
    """A whole Voltpay that gives a client less time to send a body."""
    settings = {"VOLTPAY_INGEST__BODY_TIMEOUT_MS": str(BODY_TIMEOUT_MS)}
    with Stack(folder / "data", settings=settings) as running:
        running.good = []
        yield running


@pytest.fixture(autouse=True)
def _lives_on(stack):
    """The same process as before accepts a good payment right afterwards."""
    pid = stack.pids()["api"]
    yield
    stack.good.append(stack.pay(1))
    assert stack.pids()["api"] == pid


def refused(answer, status, slug, fields=()):
    """It is this problem."""
    assert (answer.status, answer.body["type"]) == (status, PROBLEM + slug), answer
    assert answer.body.get("fields", []) == list(fields)
    assert answer.body["status"] == status
    assert answer.body["title"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"]


def not_stored(stack, payment_id):
    """No store knows the payment."""
    assert stack.call("GET", f"/payments/{payment_id}")[0] == 404


def post(content, *headers):
    """A whole POST /payments."""
    return head("POST", "/payments", JSON, f"Content-Length: {len(content)}", *headers) + content


def with_amount(text, currency="EUR"):
    """A body with an amount as it stands, and an id of its own in place of `$`."""
    return f'{{"correlationId": "$", "amount": {text}, "currency": "{currency}"}}'.encode()


def with_field(name, value):
    """A body that is right but for one field."""
    return json.dumps({"correlationId": "$", "amount": 1, name: value}).encode()


BODIES = {
    "malformed JSON": (b'{"correlationId": "$", "amount": 1', 400, []),
    "nothing": (b"", 400, []),
    "NaN": (with_amount("NaN"), 400, []),
    "Infinity": (with_amount("Infinity"), 400, []),
    "minus Infinity": (with_amount("-Infinity"), 400, []),
    "an exponent that no decimal has": (with_amount("1e99999999999999999999"), 400, []),
    "repeated keys": (b'{"correlationId": "$", "amount": 1, "amount": 1}', 400, ["amount"]),
    "repeated keys within": (
        b'{"correlationId": "$", "amount": 1, "metadata": {"a": "1", "a": "2"}}',
        400,
        ["a"],
    ),
    "a bare number": (b"7", 400, []),
    "a bare string": (b'"$"', 400, []),
    "a list": (b'[{"correlationId": "$", "amount": 1}]', 400, []),
    "deep nesting": (b'{"correlationId": "$", "amount": ' + b"[" * 8_000, 400, []),
    "invalid UTF-8": (b'{"correlationId": "$", "amount": 1, "description": "\xff"}', 400, []),
    "UTF-16": (with_amount("1").decode().encode("utf-16"), 400, []),
    "a byte order mark": (b"\xef\xbb\xbf" + with_amount("1"), 400, []),
    "1e999": (with_amount("1e999"), 422, ["amount"]),
    "1e-999": (with_amount("1e-999"), 422, ["amount"]),
    "five thousand digits": (with_amount("9" * 5_000), 422, ["amount"]),
    "negative": (with_amount("-1"), 422, ["amount"]),
    "zero": (with_amount("0"), 422, ["amount"]),
    "minus zero": (with_amount("-0.0"), 422, ["amount"]),
    "too many decimals": (with_amount("1.001"), 422, ["amount"]),
    "too many decimals for yen": (with_amount("10.5", "JPY"), 422, ["amount"]),
    "too many decimals for dinars": (with_amount("1.2345", "BHD"), 422, ["amount"]),
    "a currency that no processor takes": (with_amount("10", "JPY"), 422, ["currency"]),
    "beyond 2^53": (with_amount(str(2**53 + 1)), 422, ["amount"]),
    "beyond what is storable": (with_amount("10000000000"), 422, ["amount"]),
    "a text that is no number": (with_amount('"1e3"'), 422, ["amount"]),
    "digits of another script": (with_amount('"\u0661"'), 422, ["amount"]),
    "an unknown currency": (with_amount("1", "EUX"), 422, ["currency"]),
    "a wrong id": (with_field("correlationId", "4711"), 422, ["correlationId"]),
    "a braced id": (with_field("correlationId", f"{{{ID}}}"), 422, ["correlationId"]),
    "a dashless id": (with_field("correlationId", ID.hex), 422, ["correlationId"]),
    "a URN": (with_field("correlationId", ID.urn), 422, ["correlationId"]),
    "an id with a line feed": (with_field("correlationId", f"{ID}\n"), 422, ["correlationId"]),
    "an id that is null": (with_field("correlationId", None), 422, ["correlationId"]),
    "an unknown field": (with_field("amuont", 1), 422, ["amuont"]),
    "a missing field": (b'{"correlationId": "$"}', 422, ["amount"]),
    "a missing id": (b'{"amount": 1}', 422, ["correlationId"]),
    "half a character": (with_field("description", "\ud800"), 422, ["description"]),
    "a null character": (with_field("description", "a\0b"), 422, ["description"]),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_wrong_is_refused_and_the_line_goes_on(stack, case):
    template, status, fields = BODIES[case]
    payment_id = str(uuid.uuid4())
    content = template.replace(b"$", payment_id.encode())
    slug = "malformed-body" if status == 400 else "invalid-payment"
    with Wire(stack) as wire:
        for _ in range(2):
            wire.send(post(content))
            refused(wire.answer(), status, slug, fields)
    not_stored(stack, payment_id)
    not_stored(stack, ID)


def test_an_upper_case_id_is_the_same_id(stack):
    payment_id = stack.pay(1, correlationId=str(uuid.uuid4()).upper())
    stack.good.append(payment_id.lower())
    assert stack.call("GET", f"/payments/{payment_id}")[2]["correlationId"] == payment_id.lower()


HEADERS = {
    "another type": (["Content-Type: text/plain"], 415, "not-json", []),
    "no type": ([], 415, "not-json", []),
    "another alphabet": (["Content-Type: application/json; charset=latin-1"], 415, "not-json", []),
    "two types": (["Content-Type: text/plain", JSON], 400, "bad-request", ["Content-Type"]),
    "two keys": (
        [JSON, "Idempotency-Key: one", "Idempotency-Key: two"],
        400,
        "bad-request",
        ["Idempotency-Key"],
    ),
    "a key with a space": (
        [JSON, "Idempotency-Key: one two"],
        422,
        "invalid-payment",
        ["Idempotency-Key"],
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_is_wrong_is_refused_and_the_line_goes_on(stack, case):
    headers, status, slug, fields = HEADERS[case]
    payment_id = str(uuid.uuid4())
    content = with_amount("1").replace(b"$", payment_id.encode())
    with Wire(stack) as wire:
        for _ in range(2):
            wire.send(head("POST", "/payments", f"Content-Length: {len(content)}", *headers))
            wire.send(content)
            answer = wire.answer()
            refused(answer, status, slug, fields)
            if answer.headers["Connection"] == "close":
                assert wire.is_closed()
                break
    not_stored(stack, payment_id)


@pytest.mark.parametrize("query", ["dry_run=1", "amount=1&amount=2", "x"])
def test_a_query_parameter_of_a_payment_is_refused_by_name(stack, query):
    body = {"correlationId": str(uuid.uuid4()), "amount": 1}
    status, _, problem = stack.call("POST", f"/payments?{query}", body)
    assert (status, problem["type"]) == (400, PROBLEM + "bad-request")
    assert problem["fields"] == [query.partition("=")[0]]
    not_stored(stack, body["correlationId"])


def test_a_body_without_a_length_is_no_body_and_its_bytes_are_no_request(stack):
    payment_id = str(uuid.uuid4())
    with Wire(stack) as wire:
        wire.send(head("POST", "/payments", JSON))
        refused(wire.answer(), 400, "malformed-body")
        wire.send(with_amount("1").replace(b"$", payment_id.encode()))
        refused(wire.answer(), 400, "malformed-request")
        assert wire.is_closed()
    not_stored(stack, payment_id)


LARGE = 2 * 1024 * 1024
FRAMINGS = {
    "a length": ([f"Content-Length: {LARGE}"], [b" " * LARGE]),
    "chunks": ([CHUNKED], [chunk(b" " * 65_536)] * (LARGE // 65_536) + [chunk(b"")]),
    "a length beyond all bounds": (["Content-Length: 9223372036854775807"], [b" " * LARGE]),
}


@pytest.mark.parametrize("case", FRAMINGS)
def test_two_megabytes_are_refused_and_the_line_is_closed(stack, case):
    headers, parts = FRAMINGS[case]
    with Wire(stack) as wire:
        wire.send(head("POST", "/payments", JSON, *headers))
        wire.flood(parts)
        answer = wire.answer()
        refused(answer, 413, "body-too-large")
        assert answer.headers["Connection"] == "close"
        assert wire.is_closed()


@pytest.mark.parametrize("framing", [CHUNKED, "Content-Length: 4000000000"])
def test_a_body_without_end_fills_no_memory_and_what_follows_it_is_no_request(stack, framing):
    before = memory_mib(stack)
    megabyte = b" " * (1024 * 1024)
    part = chunk(megabyte) if framing == CHUNKED else megabyte
    with Wire(stack) as wire:
        wire.send(head("POST", "/payments", JSON, framing))
        wire.flood([part] * FLOOD_MIB)
        wire.flood([head("GET", "/livez")])
        grown = memory_mib(stack) - before
        assert grown < GROWTH_MAX_MIB
        refused(wire.answer(), 413, "body-too-large")
        assert wire.is_closed()


def test_a_client_that_asks_before_it_sends_is_refused_before_it_sends(stack):
    with Wire(stack) as wire:
        length = f"Content-Length: {LARGE}"
        wire.send(head("POST", "/payments", JSON, length, "Expect: 100-continue"))
        refused(wire.answer(), 413, "body-too-large")
        assert wire.is_closed()


TWO_ENDS = {
    "two lengths": ["Content-Length: 1", "Content-Length: 60"],
    "a length and chunks": ["Content-Length: 5", CHUNKED],
    "chunks and a length": [CHUNKED, "Content-Length: 5"],
    "two lengths in one": ["Content-Length: 1, 60"],
    "a length that is none": ["Content-Length: 0x10"],
    "a coding that is none": ["Transfer-Encoding: chunked, identity"],
}


@pytest.mark.parametrize("case", TWO_ENDS)
def test_a_request_that_could_end_in_two_places_is_refused_and_nothing_behind_it_read(stack, case):
    payment_id = str(uuid.uuid4())
    smuggled = post(with_amount("1").replace(b"$", payment_id.encode()))
    with Wire(stack) as wire:
        wire.send(head("POST", "/payments", JSON, *TWO_ENDS[case]), chunk(b""), smuggled)
        refused(wire.answer(), 400, "malformed-request")
        assert wire.is_closed()
    not_stored(stack, payment_id)


def test_ten_thousand_headers_are_refused(stack):
    with Wire(stack) as wire:
        wire.flood([head("GET", "/livez", *(f"X-{number}: x" for number in range(10_000)))])
        refused(wire.answer(), 431, "headers-too-large")
        assert wire.is_closed()


@pytest.mark.parametrize("path", ["/livez", "/payments/" + "a" * 100_000])
def test_one_huge_header_or_address_is_refused(stack, path):
    with Wire(stack) as wire:
        wire.flood([head("GET", path, "X: " + "x" * 100_000)])
        refused(wire.answer(), 431, "headers-too-large")
        assert wire.is_closed()


def test_a_head_that_never_ends_is_refused_in_the_end(stack):
    with Wire(stack) as wire:
        wire.send(b"POST /payments HTTP/1.1\r\nHost: voltpay\r\nX: ")
        refused(wire.answer(), 408, "headers-too-slow")
        assert wire.is_closed()


def test_a_body_that_never_ends_is_refused_in_the_end(stack):
    payment_id = str(uuid.uuid4())
    content = with_amount("1").replace(b"$", payment_id.encode())
    with Wire(stack) as wire:
        wire.send(post(content)[:-1])
        answer = wire.answer()
        refused(answer, 408, "body-too-slow")
        wire.flood([content[-1:]])
        assert wire.is_closed()
    not_stored(stack, payment_id)


def test_a_client_that_hangs_up_in_the_middle_of_a_body_has_paid_nothing(stack):
    torn, whole = str(uuid.uuid4()), str(uuid.uuid4())
    for payment_id, promised in ((torn, 200), (whole, 200)):
        content = with_amount("1").replace(b"$", payment_id.encode())
        sent = content if payment_id == whole else content[:20]
        wire = Wire(stack)
        wire.send(head("POST", "/payments", JSON, f"Content-Length: {promised}"), sent)
        time.sleep(0.1)
        wire.hang_up()
    stack.until_status(pay_well(stack), "completed")
    not_stored(stack, torn)
    not_stored(stack, whole)


GARBAGE = {
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "words": b"how do you do?\r\n\r\n",
    "zeros": bytes(1_000),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_instead_of_http_is_a_problem(stack, case):
    with Wire(stack) as wire:
        wire.flood([GARBAGE[case]])
        refused(wire.answer(), 400, "malformed-request")
        assert wire.is_closed()


SOME = "2026-01-31T12:00:00Z"
LATER = "2026-02-01T12:00:00Z"
SUMMARY = "/payments-summary?"
PAGES = "/accounts/alice/transactions?"
LETTERS = "/dead-letters?"
LONG = "9" * 5_000
QUESTIONS = {
    f"{SUMMARY}from={LATER}&to={SOME}": ("reversed-window", ["from", "to"]),
    f"{SUMMARY}from=yesterday": ("not-a-time", ["from"]),
    f"{SUMMARY}to=": ("not-a-time", ["to"]),
    f"{SUMMARY}to=1769860800": ("not-a-time", ["to"]),
    f"{SUMMARY}from=2026-01-31T12:00:00": ("not-a-time", ["from"]),
    f"{SUMMARY}from=2026-02-30T12:00:00Z": ("not-a-time", ["from"]),
    f"{SUMMARY}from=2026-01-31T12:00:00%2B24:00": ("not-a-time", ["from"]),
    f"{SUMMARY}from=10000-01-01T00:00:00Z": ("not-a-time", ["from"]),
    f"{SUMMARY}to=%FF": ("not-a-time", ["to"]),
    f"{SUMMARY}from={SOME}&from={SOME}": ("bad-request", ["from"]),
    f"{SUMMARY}From={SOME}": ("bad-request", ["From"]),
    f"{SUMMARY}currency=eur": ("unknown-currency", ["currency"]),
    f"/payments/{ID.hex}": ("bad-request", ["correlationId"]),
    f"/payments/{{{ID}}}": ("bad-request", ["correlationId"]),
    f"/payments/{ID.urn}": ("bad-request", ["correlationId"]),
    f"/payments/{ID}0/status": ("bad-request", ["correlationId"]),
    "/payments/%00": ("bad-request", ["correlationId"]),
    f"/payments/{LONG}": ("bad-request", ["correlationId"]),
    f"/payments/{ID}?verbose=1": ("bad-request", ["verbose"]),
    f"/accounts/{'a' * 65}/balance": ("bad-request", ["accountId"]),
    "/accounts/%00/balance": ("bad-request", ["accountId"]),
    "/accounts/anonymous:/transactions": ("bad-request", ["accountId"]),
    f"{PAGES}limit=0": ("bad-request", ["limit"]),
    f"{PAGES}limit=201": ("bad-request", ["limit"]),
    f"{PAGES}limit=-1": ("bad-request", ["limit"]),
    f"{PAGES}limit=": ("bad-request", ["limit"]),
    f"{PAGES}limit=1.5": ("bad-request", ["limit"]),
    f"{PAGES}limit={LONG}": ("bad-request", ["limit"]),
    f"{PAGES}limit=1&limit=2": ("bad-request", ["limit"]),
    f"{PAGES}cursor=": ("malformed-cursor", ["cursor"]),
    f"{PAGES}cursor=%FF": ("malformed-cursor", ["cursor"]),
    f"{PAGES}cursor={'f' * 32}": ("malformed-cursor", ["cursor"]),
    f"{PAGES}status=paid": ("bad-request", ["status"]),
    f"{LETTERS}cursor=____________": ("malformed-cursor", ["cursor"]),
    f"{LETTERS}limit={LONG}": ("bad-request", ["limit"]),
    f"{LETTERS}stage=%00": ("bad-request", ["stage"]),
    "/dead-letters/0": ("bad-request", ["letter_id"]),
    "/processors?all": ("bad-request", ["all"]),
}
ABSENT = {
    "/dead-letters/abc": "not-found",
    f"/dead-letters/{LONG}": "not-found",
    f"/dead-letters/{2**63}": "dead-letter-unknown",
    "/%": "not-found",
    "/../secret": "not-found",
    f"/payments/{ID}": "payment-unknown",
}


@pytest.mark.parametrize("path", QUESTIONS, ids=lambda path: path[:60])
def test_a_question_that_is_wrong_is_refused_by_the_name_of_what_is(stack, path):
    slug, fields = QUESTIONS[path]
    with Wire(stack) as wire:
        wire.send(head("GET", path))
        answer = wire.answer()
        refused(answer, 400, slug, fields)
        assert len(answer.raw) < 1_000
        wire.send(head("GET", "/livez"))
        assert wire.answer().status == 200


@pytest.mark.parametrize("path", ABSENT, ids=lambda path: path[:60])
def test_what_nothing_stands_behind_is_not_found(stack, path):
    with Wire(stack) as wire:
        wire.send(head("GET", path))
        refused(wire.answer(), 404, ABSENT[path])


def test_a_window_in_the_far_future_holds_nothing(stack):
    status, _, summary = stack.call("GET", f"{SUMMARY}from=9999-12-31T23:59:59.999Z")
    assert status == 200
    assert all(each["totalRequests"] == 0 for each in summary.values())


def test_in_the_end_nothing_was_accepted_or_charged_but_the_good_payments(stack):
    for payment_id in stack.good:
        stack.until_status(payment_id, "completed")
    count = len(stack.good)
    assert f'voltpay_accepted_total{{repeat="no"}} {count}.0' in stack.metrics("api")
    assert sorted(row["correlationId"] for row in journal(stack)) == sorted(stack.good)
    with redis.Redis.from_url(installed_urls(stack.folder).log) as client:
        claims = set(client.scan_iter(CLAIM_PREFIX + b"*", count=1_000))
    assert len(claims) == count
    assert stack.call("GET", "/dead-letters")[2]["items"] == []
    assert "http.failed" not in (stack.folder / "voltpay.log").read_text()


def pay_well(stack):
    """A good payment, counted with the others."""
    stack.good.append(stack.pay(1))
    return stack.good[-1]


def memory_mib(stack):
    """What the api process has in memory."""
    asked = ["ps", "-o", "rss=", "-p", str(stack.pids()["api"])]
    return int(subprocess.run(asked, capture_output=True, check=True).stdout) / 1024
