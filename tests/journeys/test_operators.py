"""What operators ask and do over HTTP, by its effects: processors, dead letters, purge, health."""

import uuid

import pytest
from tests.journeys.inside import (
    append,
    append_bytes,
    buried,
    charges_of,
    journal,
    now_ms,
    payment_of,
    sealed,
)

from voltpay.core.codec import encode
from voltpay.core.messages import Attempt, PaymentAccepted, PaymentSettled

UNREADABLE = b"\xc1 no message"
GARBLED = (
    ("payment.accepted", "route"),
    ("payment.settled", "post"),
    ("payment.posted", "project"),
)


def test_liveness_readiness_and_metrics_tell_of_a_house_that_works(stack):
    stack.until_status(stack.pay(1), "completed")
    assert stack.call("GET", "/livez")[2] == {"status": "alive"}
    status, _, checks = stack.call("GET", "/readyz")
    assert (status, set(checks.values())) == (200, {True})
    assert 'voltpay_accepted_total{repeat="no"} 1.0' in stack.metrics("api")
    assert "voltpay_ledger_posted_total 1.0" in stack.metrics("ledger")
    assert "voltpay_routing_attempts_total" in stack.metrics("routing")
    assert "voltpay_project" in stack.metrics("projection")


def test_processors_are_shown_cheapest_first_with_health_breaker_and_share(stack):
    for _ in range(5):
        stack.pay(1)
    shown = stack.until(lambda: shown_with(stack, lambda one: one["health"] is not None))
    assert [one["name"] for one in shown] == ["default", "fallback"]
    assert [one["fee"] for one in shown] == [0.05, 0.15]
    assert [one["currencies"] for one in shown] == [["EUR"], ["EUR"]]
    assert [one["breaker"] for one in shown] == ["closed", "closed"]
    assert not any(one["health"]["failing"] for one in shown)
    stack.until(lambda: [one["share"] for one in processors_of(stack)] == [1, 0])
    assert stack.call("GET", "/processors?all=1")[0] == 400


def test_while_both_processors_fail_payments_wait_and_are_paid_once_they_recover(stack):
    failing, well = {"failure": True}, {"failure": False}
    with stack.behaving(0, "failure", failing, well), stack.behaving(1, "failure", failing, well):
        made = [stack.pay(2, accountId="lena") for _ in range(20)]
        stack.until(lambda: shown_with(stack, lambda one: one["breaker"] != "closed"))
        late = [stack.pay(2, accountId="lena") for _ in range(20)]
        view = stack.until(lambda: first_queued(stack, late))
        assert view["attempts"] == []
        assert view["acceptedAt"]
        states = {stack.call("GET", f"/payments/{each}/status")[2]["status"] for each in made}
        assert "completed" not in states
        assert stack.call("GET", "/accounts/lena/balance")[0] == 404
    for payment_id in made + late:
        stack.until_status(payment_id, "completed", timeout_s=30)
    balances = stack.call("GET", "/accounts/lena/balance")[2]["balances"]
    assert balances == [{"currency": "EUR", "balance": -80, "version": 40}]
    assert sorted(row["correlationId"] for row in journal(stack) if row["amount"] == 2) == sorted(
        made + late
    )


@pytest.mark.parametrize(("topic", "stage"), GARBLED)
def test_an_unreadable_message_is_buried_after_three_tries_while_others_go_on(stack, topic, stage):
    before = stack.pay(3, accountId="mia")
    append_bytes(stack, topic, "mia", UNREADABLE)
    after = stack.pay(4, accountId="mia")
    letter = the_letter(stack, stage)
    assert (letter["state"], letter["failures"], letter["topic"]) == ("buried", 3, topic)
    assert letter["error"].startswith("Unreadable")
    assert "paymentId" not in letter
    for payment_id in (before, after):
        stack.until_status(payment_id, "completed")

    shown = stack.call("GET", f"/dead-letters/{letter['id']}")[2]
    assert shown == {"letter": letter, "message": None}
    status, _, problem = stack.call("POST", f"/dead-letters/{letter['id']}/replay")
    assert (status, problem["type"]) == (409, "urn:voltpay:problem:dead-letter-unreadable")
    discard(stack, letter["id"], "garbage")


def test_a_message_that_the_ledger_must_refuse_is_buried_and_shown_without_personal_data(stack):
    payment_id = uuid.uuid4()
    private = b'{"email": "private.person@example.org"}'
    payment = payment_of(
        payment_id,
        currency="XXX",
        account="nora",
        details=sealed(stack, private, payment_id),
    )
    append(stack, PaymentSettled(payment, Attempt(1, "default", now_ms(), ""), True, 0, now_ms()))
    later = stack.pay(5, accountId="nora")
    letter = the_letter(stack, "post")
    assert letter["paymentId"] == str(payment_id)
    assert "no currency 'XXX'" in letter["error"]
    stack.until_status(later, "completed")

    shown = stack.call("GET", f"/dead-letters/{letter['id']}")[2]
    assert shown["message"]["kind"] == "settled"
    assert shown["message"]["payment"].keys() == {
        "correlationId", "amount", "currency", "accountId", "merchantId", "acceptedAt", "epoch"
    }  # fmt: skip
    assert "private.person" not in str(shown)

    discard(stack, letter["id"], "a currency of no country")
    assert stack.call("GET", "/accounts/nora/balance")[2]["balances"][0]["balance"] == -5


def test_a_dead_payment_has_failed_and_is_made_once_however_often_it_is_replayed(stack):
    payment_id = uuid.uuid4()
    payment = payment_of(payment_id, amount_minor=650, account="olga")
    body = encode(PaymentAccepted(payment))
    append(stack, buried(body, "payment.accepted", "route", payment_id))
    letter = the_letter(stack, "route")
    short = stack.call("GET", f"/payments/{payment_id}/status")[2]
    assert (short["status"], short["detail"]) == ("failed", "dead")
    assert charges_of(stack, str(payment_id)) == []

    for times in (1, 2):
        status, _, answer = stack.call("POST", f"/dead-letters/{letter['id']}/replay")
        assert (status, answer["state"], answer["replays"]) == (200, "replayed", times)
        stack.until_status(str(payment_id), "completed")
    marker = stack.pay(1, accountId="olga")
    stack.until_status(marker, "completed")
    assert [charge["amount"] for charge in charges_of(stack, str(payment_id))] == [6.5]
    balances = stack.call("GET", "/accounts/olga/balance")[2]["balances"]
    assert balances == [{"currency": "EUR", "balance": -7.5, "version": 2}]

    status, _, problem = discarded(stack, letter["id"], "too late")
    assert (status, problem["type"]) == (409, "urn:voltpay:problem:dead-letter-replayed")


def test_a_letter_of_a_payment_with_an_open_attempt_is_not_discarded(stack):
    slow, fast = {"delay": 2_000}, {"delay": 0}
    with stack.behaving(0, "delay", slow, fast), stack.behaving(1, "delay", slow, fast):
        payment_id = stack.pay(8, accountId="paul")
        payment = payment_of(uuid.UUID(payment_id), amount_minor=800, account="paul")
        body = encode(PaymentAccepted(payment))
        append(stack, buried(body, "payment.accepted", "route", payment_id))
        letter = the_letter(stack, "route")
        status, _, problem = discarded(stack, letter["id"], "in doubt")
        assert (status, problem["type"]) == (409, "urn:voltpay:problem:still-in-flight")
    stack.until_status(payment_id, "completed")
    discard(stack, letter["id"], "it was charged")
    assert stack.call("GET", f"/payments/{payment_id}/status")[2]["status"] == "completed"


def test_dead_letters_are_listed_in_pages_by_stage_newest_first(stack):
    _, _, whole = stack.call("GET", "/dead-letters")
    ids = [item["id"] for item in whole["items"]]
    assert ids == sorted(ids, reverse=True)
    assert whole["next"] is None
    pages, cursor = [], ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        _, _, page = stack.call("GET", f"/dead-letters?limit=2{more}")
        pages += page["items"]
        cursor = page["next"]
    assert pages == whole["items"]
    of_stage = stack.call("GET", "/dead-letters?stage=post")[2]["items"]
    assert of_stage == [item for item in whole["items"] if item["stage"] == "post"]


def test_a_letter_that_is_none_and_a_discard_without_a_reason_are_refused(stack):
    for path in ("", "/replay", "/discard"):
        method = "POST" if path else "GET"
        body = {"reason": "x"} if path == "/discard" else None
        status, _, problem = stack.call(method, f"/dead-letters/987654{path}", body)
        assert (status, problem["type"]) == (404, "urn:voltpay:problem:dead-letter-unknown")
    for body in (
        {},
        {"reason": ""},
        {"reason": "a\nb"},
        {"reason": "a\n"},
        {"reason": "a", "by": "me"},
    ):
        assert stack.call("POST", "/dead-letters/1/discard", body)[0] == 400
    assert stack.call("GET", "/dead-letters?cursor=x")[2]["fields"] == ["cursor"]
    for query in ("limit=0", "stage=Post", "stage=post%0A", "states=buried"):
        assert stack.call("GET", f"/dead-letters?{query}")[0] == 400


def test_a_purge_empties_everything_and_what_is_paid_afterwards_works_at_once(stack):
    kept = stack.pay(9, accountId="quinn")
    stack.until_status(kept, "completed")
    for path in ("/accounts/quinn/balance", "/accounts/quinn/transactions"):
        assert stack.call("GET", path)[0] == 200
    assert stack.call("GET", "/dead-letters")[2]["items"]

    status, headers, body = stack.call("POST", "/purge-payments")
    assert (status, body) == (204, b"")
    assert headers["X-Request-Id"]
    none = {"totalRequests": 0, "totalAmount": 0}
    status, headers, summary = stack.call("GET", "/payments-summary")
    assert headers["Voltpay-Complete"] == "true"
    assert summary == {"default": none, "fallback": none}
    assert journal(stack) == []
    assert stack.call("GET", "/dead-letters")[2] == {"items": [], "next": None}
    for path in ("/accounts/quinn/balance", "/accounts/quinn/transactions", f"/payments/{kept}"):
        assert stack.call("GET", path)[0] == 404, path

    body = {"correlationId": kept, "amount": 10, "accountId": "quinn"}
    status, headers, _ = stack.call("POST", "/payments", body)
    assert (status, headers["Idempotency-Replayed"]) == (202, None)
    assert stack.until_status(kept, "completed")["amount"] == 10
    balances = stack.call("GET", "/accounts/quinn/balance")[2]["balances"]
    assert balances == [{"currency": "EUR", "balance": -10, "version": 1}]
    assert [row["correlationId"] for row in journal(stack)] == [kept]
    assert stack.call("GET", "/payments-summary")[2]["default"]["totalRequests"] == 1
    assert "It adds up" in stack.run("reconcile", "--data", str(stack.folder)).stdout


def test_a_purge_amid_payments_leaves_nothing_of_before(stack):
    with stack.behaving(0, "delay", {"delay": 200}, {"delay": 0}):
        before = [stack.pay(1, accountId="rosa") for _ in range(100)]
        assert stack.call("POST", "/purge-payments")[0] == 204
        after = [stack.pay(2, accountId="rosa") for _ in range(20)]
        for payment_id in after:
            stack.until_status(payment_id, "completed")
    assert {stack.call("GET", f"/payments/{each}")[0] for each in before} == {404}
    balances = stack.call("GET", "/accounts/rosa/balance")[2]["balances"]
    assert balances == [{"currency": "EUR", "balance": -40, "version": 20}]
    assert stack.call("GET", "/payments-summary")[2]["default"]["totalRequests"] == 20


def shown_with(stack, is_so):
    """The processors once it is so of all of them."""
    items = processors_of(stack)
    return items if all(is_so(one) for one in items) else None


def processors_of(stack):
    """The processors as shown."""
    return stack.call("GET", "/processors")[2]["items"]


def first_queued(stack, payment_ids):
    """What is told of the first that routing has left in the backlog, if there is one."""
    views = (stack.call("GET", f"/payments/{each}")[2] for each in payment_ids)
    return next((view for view in views if view["status"] == "queued"), None)


def the_letter(stack, stage):
    """The one letter of a stage that is neither replayed nor discarded, once it is there."""

    def buried_ones():
        items = stack.call("GET", f"/dead-letters?stage={stage}")[2]["items"]
        return [item for item in items if item["state"] == "buried"]

    (letter,) = stack.until(buried_ones)
    return letter


def discarded(stack, letter_id, reason):
    """The answer to a discard."""
    return stack.call("POST", f"/dead-letters/{letter_id}/discard", {"reason": reason})


def discard(stack, letter_id, reason):
    """Discard a letter; the first reason stays, and it is not replayed any more."""
    for given in (reason, "another reason"):
        status, _, answer = discarded(stack, letter_id, given)
        assert (status, answer["state"], answer["reason"]) == (200, "discarded", reason)
    status, _, problem = stack.call("POST", f"/dead-letters/{letter_id}/replay")
    assert status == 409
    assert problem["type"].startswith("urn:voltpay:problem:dead-letter-")
