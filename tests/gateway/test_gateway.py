"""What the gateway lets through, what it refuses, and what it does when services are gone."""

import contextlib
import http.client
import json
import socket
import ssl
import time
import uuid

import pytest
from tests.gateway.conftest import RATE_PER_S

GONE = "127.0.0.9"
PROBLEM = b"content-type: application/problem+json"


def payment(payment_id=None, amount=19.90, **more):
    """The body of one."""
    return json.dumps(
        {"correlationId": str(payment_id or uuid.uuid4()), "amount": amount, **more}
    ).encode()


def test_the_file_is_one_that_haproxy_takes_without_a_warning(gateway):
    assert gateway.checked.returncode == 0, gateway.checked.stderr
    assert "WARNING" not in gateway.checked.stderr.upper(), gateway.checked.stderr


def test_a_payment_goes_through_and_its_questions_are_answered(gateway, behind):
    one = uuid.uuid4()
    status, answer = gateway.ask("POST", "/payments", payment(one, accountId="gate"))
    assert status == 202, answer
    behind.until_status(str(one), "completed")
    for path in (f"/payments/{one}", f"/payments/{one}/status", "/payments-summary"):
        assert gateway.ask("GET", path)[0] == 200, path
    assert b"strict-transport-security" in answer.lower()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/payments", 405),
        ("DELETE", "/accounts/alice/balance", 405),
        ("GET", "/dead-letters", 404),
        ("GET", "/processors", 404),
        ("GET", "/metrics", 404),
        ("POST", "/purge-payments", 404),
        ("GET", "/schema", 404),
    ],
)
def test_what_is_not_for_everybody_is_not_there(gateway, method, path, status):
    got, answer = gateway.ask(method, path)
    assert got == status, answer
    assert PROBLEM in answer.lower()


def test_operators_have_an_address_of_their_own(gateway):
    for path in ("/processors", "/dead-letters"):
        asked = http.client.HTTPConnection("127.0.0.1", gateway.operators, timeout=10)
        asked.request("GET", path)
        assert asked.getresponse().status == 200, path
        asked.close()


def test_tls_is_verified_and_no_older_than_1_2(gateway):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with gateway.connect(version) as line:
            assert line.version() in {"TLSv1.2", "TLSv1.3"}
    with pytest.raises(ssl.SSLError), pytest.warns(DeprecationWarning, match="TLSv1_1"):
        gateway.connect(ssl.TLSVersion.TLSv1_1)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as line:
        line.sendall(b"GET /payments-summary HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " not in line.recv(1_000)


def test_a_body_that_is_too_large_is_refused_and_the_largest_goes_through(gateway):
    status, answer = gateway.ask("POST", "/payments", payment(description="x" * 17_000))
    assert (status, PROBLEM in answer.lower()) == (413, True), answer
    assert gateway.ask("POST", "/payments", payment().ljust(16_384))[0] == 202


def test_who_asks_too_often_is_told_to_wait_and_others_are_not(gateway):
    with gateway.connect() as line:
        line.settimeout(10)
        request = b"GET /payments-summary HTTP/1.1\r\nHost: localhost\r\n\r\n"
        statuses = []
        answers = line.makefile("rb")
        for _ in range(3 * RATE_PER_S):
            line.sendall(request)
            statuses.append(int(answers.readline().split(b" ")[1]))
            length = 0
            while (head := answers.readline()) not in {b"\r\n", b""}:
                if head.lower().startswith(b"content-length:"):
                    length = int(head.split(b":")[1])
            answers.read(length)
            if statuses[-1] == 429:
                break
    assert statuses[-1] == 429, len(statuses)
    assert statuses.count(200) >= RATE_PER_S // 2
    time.sleep(1.5)
    assert gateway.ask("GET", "/payments-summary")[0] == 200


def test_one_client_cannot_hold_all_connections(gateway):
    held = []
    try:
        with contextlib.suppress(ssl.SSLError, ConnectionError, TimeoutError):
            while len(held) < 60:
                held.append(gateway.connect())
        assert 10 <= len(held) < 60
    finally:
        for line in held:
            line.close()


@pytest.mark.parametrize("sent", [b"POST /pay", b"whole head"])
def test_a_client_that_sends_byte_by_byte_is_cut_off(gateway, sent):
    body = payment()
    head = (
        b"POST /payments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    began = time.monotonic()
    with gateway.connect() as line:
        line.settimeout(15)
        line.sendall(head if sent == b"whole head" else sent)
        got = b""
        try:
            while time.monotonic() - began < 14:
                line.settimeout(0.4)
                try:
                    part = line.recv(65_536)
                    got += part
                    if not part:
                        break
                except TimeoutError:
                    line.sendall(b"x")
        except (ConnectionError, ssl.SSLError):
            pass
    assert time.monotonic() - began < 10
    assert b" 408 " in got, got


HIDDEN = (
    b"POST /payments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
HEAD = b"POST /payments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SMUGGLED = {
    "length and chunks": lambda inner: (
        HEAD
        + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s"
        % (len(inner) + 5, inner)
    ),
    "two lengths": lambda inner: (
        HEAD + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n%s" % (len(inner), inner)
    ),
    "chunks that are none": lambda inner: (
        HEAD + b"Content-Length: %d\r\nTransfer-Encoding: xchunked\r\n\r\n%s" % (len(inner), inner)
    ),
    "chunks twice": lambda inner: (
        HEAD
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n%s" % inner
    ),
    "a blank before the colon": lambda inner: (
        HEAD + b"Content-Length : %d\r\n\r\n%s" % (len(inner), inner)
    ),
    "an underscore": lambda inner: HEAD + b"Content_Length: %d\r\n\r\n%s" % (len(inner), inner),
    "a length with a sign": lambda inner: (
        HEAD + b"Content-Length: +%d\r\n\r\n%s" % (len(inner), inner)
    ),
    "a chunk's size too long": lambda inner: (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n00000000000000000000\r\n\r\n%s" % inner
    ),
}


@pytest.mark.parametrize("trick", SMUGGLED)
def test_a_smuggled_request_is_answered_as_what_it_is_or_not_at_all(gateway, behind, trick):
    hidden = uuid.uuid4()
    body = payment(hidden, accountId="hidden")
    inner = HIDDEN % (len(body), body)
    answer = gateway.exchange(SMUGGLED[trick](inner), wait_s=12)
    assert b"HTTP/1.1 4" in answer, answer
    accepted = behind.call("GET", f"/payments/{hidden}/status")[0] == 200
    # Never one that is made behind the back of whoever counts requests and answers.
    assert accepted == (str(hidden).encode() in answer), (trick, answer)


def test_a_dead_process_costs_no_client_an_answer(gateway):
    gateway.addresses = [GONE, "127.0.0.1"]
    time.sleep(3)
    for _ in range(40):
        assert gateway.ask("GET", "/payments-summary")[0] == 200
        assert gateway.ask("POST", "/payments", payment())[0] == 202


def test_without_any_process_the_answer_is_503_and_it_heals_by_itself(gateway):
    gateway.addresses = [GONE]
    gateway.until_status(503)
    status, answer = gateway.ask("POST", "/payments", payment())
    assert status == 503
    assert PROBLEM in answer.lower()
    assert b"retry-after: 1" in answer.lower()
    gateway.addresses = ["127.0.0.1"]
    gateway.until_status(200)


def test_its_own_figures_are_prometheus_text(gateway):
    told = gateway.figures()
    for name in ("haproxy_frontend_http_requests_total", "haproxy_backend_active_servers"):
        assert name in told
    assert 'proxy="ingest"' in told
