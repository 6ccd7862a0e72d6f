"""The error catalogue holds: every problem of it is answered by a running Voltpay, as it says."""

import json
import uuid

import pytest
from msgspec.structs import replace
from tests.faults.engines import away, log_client, stopped
from tests.journeys.inside import append, buried, now_ms, payment_of, sealed
from tests.stack import Stack
from tests.wire import PROBLEM, Wire, head, raw_post

from voltpay.cli.errors import catalogue
from voltpay.core.codec import encode
from voltpay.core.messages import Attempt, PaymentAccepted, PaymentSettled
from voltpay.foundation.engines.redis.names import EPOCH, PARTITIONS, PURGING
from voltpay.foundation.runtime.heads import PIPELINED_MAX

ENTRIES = {entry.slug: entry for entry in catalogue()}
TRIES = 20
SOME = "2026-01-31T12:00:00Z"
LATER = "2026-02-01T12:00:00Z"


@pytest.fixture(scope="module")
def stack(folder):
    """A whole Voltpay that gives a client less time to send a body."""
    with Stack(folder / "data", settings={"VOLTPAY_INGEST__BODY_TIMEOUT_MS": "500"}) as running:
        running.pay(1)
        yield running


@pytest.fixture(autouse=True)
def _as_it_was(stack):
    """Whatever was taken away is back: a payment is made to its end."""
    yield
    made = stack.until(lambda: accepted(stack), timeout_s=40)
    stack.until_status(made, "completed", timeout_s=40)


def accepted(stack):
    """The id of a payment, if it is accepted."""
    body = payment()
    return body["correlationId"] if posted(stack, **body)[0] == 202 else None


def payment(**fields):
    """A body."""
    return {"correlationId": str(uuid.uuid4()), "amount": 1, **fields}


def posted(stack, **fields):
    """The answer to a payment."""
    return stack.call("POST", "/payments", payment(**fields))


def asked(path):
    """The error that a GET meets."""
    return lambda stack: stack.call("GET", path)


def said(*parts):
    """The error that bytes on a socket meet."""

    def answer(stack):
        with Wire(stack) as wire:
            wire.send(*parts)
            got = wire.answer()
        return got.status, got.headers, got.body

    return answer


def pipelined(stack):
    """The answer to one request too many before the first was answered."""
    with Wire(stack) as wire:
        wire.send(head("GET", "/livez") * (PIPELINED_MAX + 1))
        for _ in range(PIPELINED_MAX):
            assert wire.answer().status == 200
        got = wire.answer()
    return got.status, got.headers, got.body


def of_another_type(stack):
    """A body that says that it is text."""
    status, headers, raw = raw_post(stack, b"{}", {"Content-Type": "text/plain"})
    return status, headers, json.loads(raw)


def repeated_otherwise(stack):
    """The id of a payment with another amount."""
    return posted(stack, correlationId=stack.pay(5), amount=6)


def letter_of(stack, body, topic="payment.accepted", stage="route", payment_id=None):
    """The number of a letter that is made of a body."""
    payment_id = payment_id or uuid.uuid4()
    append(stack, buried(body, topic, stage, payment_id))

    def found():
        items = stack.call("GET", "/dead-letters")[2]["items"]
        return [item["id"] for item in items if item.get("paymentId") == str(payment_id)]

    return stack.until(found)[0]


def payment_now(stack, payment_id, **fields):
    """A payment of the installation as it is since it was emptied last."""
    with log_client(stack) as client:
        epoch = int(client.get(EPOCH) or 0)
    return replace(payment_of(payment_id, **fields), epoch=epoch)


def accepted_letter(stack, payment_id=None):
    """The number of a letter that can be replayed."""
    payment_id = payment_id or uuid.uuid4()
    body = encode(PaymentAccepted(payment_now(stack, payment_id)))
    return letter_of(stack, body, payment_id=payment_id)


def replayed(stack, letter):
    """The answer to a replay."""
    return stack.call("POST", f"/dead-letters/{letter}/replay")


def discarded(stack, letter):
    """The answer to a discard."""
    return stack.call("POST", f"/dead-letters/{letter}/discard", {"reason": "a test"})


def replay_of_discarded(stack):
    letter = accepted_letter(stack)
    assert discarded(stack, letter)[0] == 200
    return replayed(stack, letter)


def discard_of_replayed(stack):
    letter = accepted_letter(stack)
    assert replayed(stack, letter)[0] == 200
    return discarded(stack, letter)


def replay_of_unreadable(stack):
    return replayed(stack, letter_of(stack, b"\xc1 no message"))


def discard_while_charging(stack):
    slow, fast = {"delay": 1_500}, {"delay": 0}
    with stack.behaving(0, "delay", slow, fast), stack.behaving(1, "delay", slow, fast):
        payment_id = uuid.UUID(stack.pay(8))
        got = discarded(stack, accepted_letter(stack, payment_id))
    stack.until_status(str(payment_id), "completed")
    return got


def replay_on_a_log_without_partitions(stack):
    attempt = Attempt(1, "default", now_ms(), "")
    made = payment_now(stack, uuid.uuid4())
    settled = PaymentSettled(made, attempt, True, 0, now_ms())
    letter = letter_of(stack, encode(settled), "payment.settled", "post")
    with log_client(stack) as client:
        partitions = client.getdel(PARTITIONS)
        try:
            return replayed(stack, letter)
        finally:
            client.set(PARTITIONS, partitions)


def with_the_log_stopped(ask):
    """An error while the log's server stands still."""

    def answer(stack):
        with stopped(stack.engine_pid("log")):
            return ask(stack)

    return answer


def without(name, ask):
    """An error while an engine is dead: the last of PostgreSQL's processes ends a moment later."""

    def answer(stack):
        with away(stack, name):
            return stack.until(lambda: (got := ask(stack))[0] == 503 and got)

    return answer


def with_memory(stack, bytes_max, ask):
    """The answer while the log's server may use so much memory."""
    with log_client(stack) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", bytes_max)
        try:
            return ask()
        finally:
            client.config_set("maxmemory", before)


def while_the_log_is_filling(stack):
    with log_client(stack) as client:
        used = client.info("memory")["used_memory"]

    def refused():
        got = posted(stack)
        return got if got[0] == 503 else None

    return with_memory(stack, used * 4 // 3, lambda: stack.until(refused))


def while_the_log_is_full(stack):
    """Asked in the moment before the guard notices, which refuses by itself from then on."""
    for _ in range(TRIES):
        got = with_memory(stack, 1, lambda: posted(stack))
        if got[2].get("type") == f"{PROBLEM}log-full":
            break
        stack.until(lambda: accepted(stack))
    return got


def during_a_purge(stack):
    with log_client(stack) as client:
        before = client.get(EPOCH)
        client.set(EPOCH, PURGING)
        try:
            return posted(stack)
        finally:
            client.delete(EPOCH) if before is None else client.set(EPOCH, before)


def purge_without(pid_of):
    """A purge while a process stands still that has to be emptied; then it is repeated."""

    def answer(stack):
        with stopped(pid_of(stack)):
            got = stack.call("POST", "/purge-payments")
        stack.until(lambda: stack.call("POST", "/purge-payments")[0] == 204)
        return got

    return answer


def personal_data_of_another_payment(stack):
    payment_id = uuid.uuid4()
    details = sealed(stack, b"{}", uuid.uuid4())
    append(stack, PaymentAccepted(payment_now(stack, payment_id, details=details)))

    def failed():
        got = stack.call("GET", f"/payments/{payment_id}")
        return got if got[0] == 500 else None

    return stack.until(failed)


JSON = "Content-Type: application/json"
UNFINISHED = head("POST", "/payments", JSON, "Content-Length: 9")
MET = {
    "account-unknown": asked("/accounts/nobody/balance"),
    "bad-request": asked("/payments/4711"),
    "being-purged": during_a_purge,
    "body-too-large": said(head("POST", "/payments", JSON, "Content-Length: 999999")),
    "body-too-slow": said(UNFINISHED, b"{"),
    "cache-away": purge_without(lambda stack: stack.engine_pid("cache")),
    "cannot-tell": with_the_log_stopped(asked(f"/payments/{uuid.uuid4()}")),
    "conflicting-repeat": repeated_otherwise,
    "database-away": without("postgres", asked("/accounts/nobody/balance")),
    "dead-letter-discarded": replay_of_discarded,
    "dead-letter-replayed": discard_of_replayed,
    "dead-letter-unknown": asked("/dead-letters/987654"),
    "dead-letter-unreadable": replay_of_unreadable,
    "headers-too-large": said(head("GET", "/livez", "X: " + "x" * 40_000)),
    "headers-too-slow": said(b"GET /livez HTTP/1.1\r\n"),
    "internal": personal_data_of_another_payment,
    "invalid-payment": lambda stack: posted(stack, amount=-1),
    "log-away": without("log", posted),
    "log-full": while_the_log_is_full,
    "log-not-prepared": replay_on_a_log_without_partitions,
    "log-slow": with_the_log_stopped(posted),
    "malformed-body": lambda stack: stack.call("POST", "/payments", b"{"),
    "malformed-cursor": asked("/dead-letters?cursor=4711"),
    "malformed-request": said(b"how do you do?\r\n\r\n"),
    "method-not-allowed": asked("/payments"),
    "not-a-time": asked("/payments-summary?from=now"),
    "not-found": asked("/nothing"),
    "not-json": of_another_type,
    "overloaded": while_the_log_is_filling,
    "payment-unknown": asked(f"/payments/{uuid.uuid4()}"),
    "reversed-window": asked(f"/payments-summary?from={LATER}&to={SOME}"),
    "sandbox-away": purge_without(lambda stack: stack.pids()["sandbox default"]),
    "still-in-flight": discard_while_charging,
    "too-many-requests": pipelined,
    "unknown-currency": asked("/payments-summary?currency=EUX"),
}


def test_every_problem_of_the_catalogue_is_met_below_and_no_other(stack):
    assert MET.keys() == ENTRIES.keys()


@pytest.mark.parametrize("slug", ENTRIES)
def test_a_problem_is_answered_as_the_catalogue_says(stack, slug):
    status, headers, problem = MET[slug](stack)
    entry = ENTRIES[slug]
    assert problem["type"] == PROBLEM + slug, problem
    assert status == problem["status"] == entry.status
    assert problem["title"] == entry.title
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Request-Id"]
    assert ("Retry-After" in headers) == (status == 503)
    assert ("detail" in problem) == (slug != "internal")
