"""Payments over HTTP, endpoint by endpoint, by their effects: POST, GET, summary, accounts."""

import json
import uuid

import pytest
from tests.journeys.inside import charges_of, forget_claim, journal, own_summary
from tests.wire import raw_post

INVALID = {
    "no id": ({"correlationId": None}, ["correlationId"]),
    "an id that is no uuid": ({"correlationId": "4711"}, ["correlationId"]),
    "an id without hyphens": ({"correlationId": uuid.uuid4().hex}, ["correlationId"]),
    "no amount": ({"amount": None}, ["amount"]),
    "nothing": ({"amount": 0}, ["amount"]),
    "less than nothing": ({"amount": -1}, ["amount"]),
    "half a cent": ({"amount": 1.005}, ["amount"]),
    "more than a book holds": ({"amount": 10**10}, ["amount"]),
    "a word": ({"amount": "five"}, ["amount"]),
    "a truth": ({"amount": True}, ["amount"]),
    "no currency": ({"currency": "EURO"}, ["currency"]),
    "a currency in lower case": ({"currency": "eur"}, ["currency"]),
    "a currency that no processor takes": ({"currency": "USD"}, ["currency"]),
    "an account with a space": ({"accountId": "al ice"}, ["accountId"]),
    "an anonymous account": ({"accountId": "anonymous:default"}, ["accountId"]),
    "a merchant without a name": ({"merchantId": ""}, ["merchantId"]),
    "an e-mail without a host": ({"email": "alice"}, ["email"]),
    "a long description": ({"description": "x" * 501}, ["description"]),
    "nested metadata": ({"metadata": {"a": {"b": "c"}}}, ["metadata.a"]),
    "unknown fields": ({"amuont": 1, "Amount": 2}, ["Amount", "amuont"]),
}
MALFORMED = {
    "a torn body": b'{"amount": 1',
    "nothing": b"",
    "a list": b"[1]",
    "not a number": b'{"amount": NaN}',
    "a repeated key": b'{"amount": 1, "amount": 1}',
    "bytes that are no text": b'{"amount": "\xff"}',
}


def payment(**fields):
    """A body; a field that is None is left out."""
    body = {"correlationId": str(uuid.uuid4()), "amount": 12.5, **fields}
    return {name: value for name, value in body.items() if value is not None}


def test_an_accepted_payment_is_promised_with_its_amount_and_where_to_ask(stack):
    body = payment(amount=19.9, accountId="ann")
    status, headers, raw = raw_post(stack, json.dumps(body).encode(), {"X-Request-Id": "abc-1"})
    answer = json.loads(raw)
    assert status == 202
    assert headers["Location"] == f"/payments/{body['correlationId']}/status"
    assert headers["X-Request-Id"] == "abc-1"
    assert "Idempotency-Replayed" not in headers
    assert b'"amount":19.90,' in raw
    assert answer.keys() == {"correlationId", "status", "amount", "currency", "acceptedAt"}
    assert (answer["status"], answer["currency"]) == ("queued", "EUR")
    view = stack.until_status(body["correlationId"], "completed")
    assert view["acceptedAt"] == answer["acceptedAt"].replace("Z", "000Z")
    (charge,) = charges_of(stack, body["correlationId"])
    assert (charge["amount"], charge["processor"]) == (19.9, "default")


def test_one_id_in_other_letters_and_one_amount_in_other_digits_is_one_payment(stack):
    payment_id = stack.pay(5, accountId="ben")
    again = {"correlationId": payment_id.upper(), "amount": "5.00", "accountId": "ben"}
    status, headers, answer = stack.call("POST", "/payments", again)
    assert (status, headers["Idempotency-Replayed"]) == (202, "true")
    assert answer["correlationId"] == payment_id
    assert headers["Location"] == f"/payments/{payment_id}/status"
    stack.until_status(payment_id.upper(), "completed")
    assert len(charges_of(stack, payment_id)) == 1
    assert balance_of(stack, "ben") == (-5, 1)


def test_an_idempotency_key_is_the_same_quoted_or_bare_and_beside_its_own_id(stack):
    made = [
        stack.call("POST", "/payments", {"amount": 1, **more}, {"Idempotency-Key": key})
        for key, more in (('"order 1"', {}), ('"order-1"', {}), ("order-1", {}))
    ]
    assert [status for status, _, _ in made] == [202, 202, 202]
    assert [headers["Idempotency-Replayed"] for _, headers, _ in made] == [None, None, "true"]
    ids = [answer["correlationId"] for _, _, answer in made]
    assert ids[0] != ids[1] == ids[2]

    body = {"correlationId": ids[2], "amount": 1}
    status, headers, _ = stack.call("POST", "/payments", body, {"Idempotency-Key": "order-1"})
    assert (status, headers["Idempotency-Replayed"]) == (202, "true")
    status, _, problem = stack.call("POST", "/payments", body, {"Idempotency-Key": "order-2"})
    assert (status, problem["fields"]) == (422, ["correlationId", "Idempotency-Key"])


@pytest.mark.parametrize("case", INVALID)
def test_what_is_wrong_is_refused_by_the_name_of_its_field_and_makes_nothing(stack, case):
    fields, names = INVALID[case]
    body = payment(**fields)
    status, headers, problem = stack.call("POST", "/payments", body)
    assert status == 422
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["type"] == "urn:voltpay:problem:invalid-payment"
    assert problem["fields"] == names
    if body.get("correlationId", "").count("-") == 4:
        assert stack.call("GET", f"/payments/{body['correlationId']}")[0] == 404


def test_a_currency_that_nobody_takes_is_refused_with_the_reason(stack):
    _, _, problem = stack.call("POST", "/payments", payment(currency="USD"))
    assert problem["detail"] == "no processor takes USD"


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_json_object_is_malformed(stack, case):
    status, _, problem = stack.call("POST", "/payments", MALFORMED[case])
    assert (status, problem["type"]) == (400, "urn:voltpay:problem:malformed-body")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_refused_and_the_next_request_is_answered(stack, chunked):
    large = json.dumps(payment(description="x" * 20_000)).encode()
    status, _, raw = raw_post(stack, large, {}, chunked=chunked)
    assert (status, json.loads(raw)["type"]) == (413, "urn:voltpay:problem:body-too-large")
    stack.pay(1)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json; charset=latin-1"])
def test_a_body_of_another_type_is_refused(stack, kind):
    body = payment()
    status, _, raw = raw_post(stack, json.dumps(body).encode(), {"Content-Type": kind})
    assert (status, json.loads(raw)["type"]) == (415, "urn:voltpay:problem:not-json")
    assert stack.call("GET", f"/payments/{body['correlationId']}")[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/payments", "POST"),
        ("DELETE", "/payments", "POST"),
        ("POST", "/payments-summary", "GET"),
        ("PUT", f"/payments/{uuid.UUID(int=1)}", "GET"),
        ("GET", "/purge-payments", "POST"),
    ],
)
def test_another_method_is_refused_with_those_that_are_allowed(stack, method, path, allowed):
    status, headers, problem = stack.call(method, path)
    assert (status, problem["type"]) == (405, "urn:voltpay:problem:method-not-allowed")
    assert allowed in headers["Allow"].split(", ")


def test_an_unknown_path_is_a_problem_with_a_request_id(stack):
    status, headers, problem = stack.call("GET", "/nothing")
    assert (status, problem["type"]) == (404, "urn:voltpay:problem:not-found")
    assert headers["X-Request-Id"]


def test_a_payment_that_nobody_made_is_unknown_and_a_malformed_id_is_refused(stack):
    for path in ("", "/status"):
        status, _, problem = stack.call("GET", f"/payments/{uuid.uuid4()}{path}")
        assert (status, problem["type"]) == (404, "urn:voltpay:problem:payment-unknown")
        status, _, problem = stack.call("GET", f"/payments/{uuid.uuid4().hex}{path}")
        assert (status, problem["fields"]) == (400, ["correlationId"])
        status, _, problem = stack.call("GET", f"/payments/{uuid.uuid4()}{path}?verbose=1")
        assert (status, problem["fields"]) == (400, ["verbose"])


def test_a_completed_payment_tells_who_charged_it_why_and_when(stack):
    payment_id = stack.pay("0.10", accountId="cleo", merchantId="shop", metadata={"k": "v"})
    view = stack.until_status(payment_id, "completed")
    assert (view["detail"], view["amount"], view["fee"]) == ("executed", 0.10, 0.00)
    assert (view["accountId"], view["merchantId"]) == ("cleo", "shop")
    assert view["metadata"] == {"k": "v"}
    assert view["reason"] == "cheapest"
    times = [view[name] for name in ("acceptedAt", "requestedAt", "settledAt", "postedAt")]
    assert times == sorted(times)
    (attempt,) = view["attempts"]
    assert (attempt["number"], attempt["state"]) == (1, "executed")
    assert attempt["requestedAt"] == view["requestedAt"]
    verdicts = {offer["name"]: offer["verdict"] for offer in attempt["explanation"]["offers"]}
    assert verdicts == {"default": "chosen", "fallback": "dearer"}
    (charge,) = charges_of(stack, payment_id)
    assert charge["requestedAt"] == view["requestedAt"].replace("000Z", "Z")
    short = stack.call("GET", f"/payments/{payment_id}/status")[2]
    assert short == {"correlationId": payment_id, "status": "completed", "detail": "executed"}


def test_a_declined_payment_has_failed_with_the_reason(stack):
    with stack.behaving(0, "faults", {"share": {"decline": 1.0}}, {"share": {}}):
        payment_id = stack.pay(11, accountId="dora")
        view = stack.until_status(payment_id, "failed")
    assert view["declined"]
    assert view["attempts"][0]["state"] == "declined"
    short = stack.call("GET", f"/payments/{payment_id}/status")[2]
    assert short == {"correlationId": payment_id, "status": "failed", "detail": "declined"}
    assert charges_of(stack, payment_id) == []


def test_while_a_processor_takes_its_time_the_payment_is_processing(stack):
    slow, fast = {"delay": 1_500}, {"delay": 0}
    with stack.behaving(0, "delay", slow, fast), stack.behaving(1, "delay", slow, fast):
        payment_id = stack.pay(3, accountId="emil")
        short = stack.until(lambda: status_of(stack, payment_id, "processing"))
        assert short["detail"] in {"charging", "unknown", "deferred"}
        view = stack.call("GET", f"/payments/{payment_id}")[2]
        assert (view["status"], view["amount"]) == ("processing", 3)
        assert "processor" not in view
    stack.until_status(payment_id, "completed")
    assert len(charges_of(stack, payment_id)) == 1


def test_when_the_claim_is_gone_another_payment_of_the_id_is_noted_as_a_conflict(stack):
    payment_id = stack.pay(7, accountId="finn")
    stack.until_status(payment_id, "completed")
    forget_claim(stack, payment_id)
    other = {"correlationId": payment_id, "amount": 8, "accountId": "finn"}
    status, headers, _ = stack.call("POST", "/payments", other)
    assert (status, headers["Idempotency-Replayed"]) == (202, None)

    view = stack.until(lambda: conflicting(stack, payment_id))
    assert [each["fields"] for each in view["conflicts"]] == [["amount"]]
    assert (view["status"], view["amount"]) == ("completed", 7)
    assert [charge["amount"] for charge in charges_of(stack, payment_id)] == [7]
    assert balance_of(stack, "finn") == (-7, 1)


def test_when_the_claim_is_gone_the_same_payment_again_is_charged_once(stack):
    payment_id = stack.pay(9, accountId="gina")
    stack.until_status(payment_id, "completed")
    forget_claim(stack, payment_id)
    stack.pay(9, accountId="gina", correlationId=payment_id)
    after = stack.pay(1, accountId="gina")
    stack.until_status(after, "completed")
    view = stack.call("GET", f"/payments/{payment_id}")[2]
    assert (view["status"], view["conflicts"]) == ("completed", [])
    assert len(charges_of(stack, payment_id)) == 1
    assert balance_of(stack, "gina") == (-10, 2)


def test_a_summary_counts_its_window_to_the_millisecond(stack):
    views = [
        stack.until_status(stack.pay(amount, accountId="hugo"), "completed")
        for amount in (1.10, 2.20, 3.30)
    ]
    first, second, third = (view["requestedAt"] for view in views)
    none = {"totalRequests": 0, "totalAmount": 0}
    for since, until, count, amount in (
        (first, third, 3, 6.60),
        (second, second, 1, 2.20),
        (shifted(first, 1), third, 2, 5.50),
        (first, shifted(third, -1), 2, 3.30),
        (shifted(first, 1), shifted(second, -1), 0, 0),
    ):
        status, headers, summary = stack.call("GET", f"/payments-summary?from={since}&to={until}")
        assert (status, headers["Voltpay-Complete"]) == (200, "true")
        assert summary["default"] == {"totalRequests": count, "totalAmount": amount}
        assert summary["fallback"] == none
        assert summary == own_summary(stack, **{"from": since, "to": until})
    assert stack.call("GET", "/payments-summary")[2] == own_summary(stack)
    yen = stack.call("GET", f"/payments-summary?from={first}&currency=JPY")[2]
    assert yen == {"default": none, "fallback": none}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("from=yesterday", ["from"]),
        ("to=2026-01-01T00:00:00", ["to"]),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", ["from", "to"]),
        ("currency=EURO", ["currency"]),
        ("since=2026-01-01T00:00:00Z", ["since"]),
    ],
)
def test_a_summary_refuses_a_window_that_is_none(stack, query, names):
    status, _, problem = stack.call("GET", f"/payments-summary?{query}")
    assert (status, problem["fields"]) == (400, names)


def test_a_balance_is_the_sum_of_an_account_s_payments_as_of_the_last(stack):
    views = [
        stack.until_status(stack.pay(amount, accountId="ida"), "completed") for amount in (1.25, 2)
    ]
    status, _, answer = stack.call("GET", "/accounts/ida/balance")
    assert status == 200
    assert answer["accountId"] == "ida"
    assert answer["balances"] == [{"currency": "EUR", "balance": -3.25, "version": 2}]
    assert answer["asOf"] == views[-1]["postedAt"]


@pytest.mark.parametrize("what", ["balance", "transactions"])
def test_an_account_without_payments_is_unknown_and_a_malformed_one_refused(stack, what):
    status, _, problem = stack.call("GET", f"/accounts/nobody/{what}")
    assert (status, problem["type"]) == (404, "urn:voltpay:problem:account-unknown")
    assert stack.call("GET", f"/accounts/no%20body/{what}")[0] == 400


def test_transactions_are_paged_to_the_end_newest_first_without_a_gap(stack):
    made = [stack.pay(1 + i, accountId="jane") for i in range(7)]
    for payment_id in made:
        stack.until_status(payment_id, "completed")
    pages, cursor = [], ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        _, _, page = stack.call("GET", f"/accounts/jane/transactions?limit=3{more}")
        pages.append(page["items"])
        cursor = page["next"]
    assert [len(page) for page in pages] == [3, 3, 1]
    items = [item for page in pages for item in page]
    assert {item["correlationId"] for item in items} == set(made)
    times = [item["requestedAt"] for item in items]
    assert times == sorted(times, reverse=True)
    assert {item["sequence"] for item in items} == set(range(1, 8))
    assert stack.call("GET", "/accounts/jane/transactions")[2]["items"] == items


def test_transactions_are_filtered_by_outcome_currency_and_time(stack):
    paid = stack.until_status(stack.pay(1, accountId="kim"), "completed")
    with stack.behaving(0, "faults", {"share": {"decline": 1.0}}, {"share": {}}):
        declined = stack.until_status(stack.pay(2, accountId="kim"), "failed")
    first, second = paid["correlationId"], declined["correlationId"]
    for query, expected in {
        "": [second, first],
        "status=completed": [first],
        "status=failed": [second],
        "currency=EUR": [second, first],
        "currency=JPY": [],
        f"from={declined['requestedAt']}": [second],
        f"to={paid['requestedAt']}": [first],
        f"from={paid['requestedAt']}&to={paid['requestedAt']}&status=failed": [],
    }.items():
        status, _, page = stack.call("GET", f"/accounts/kim/transactions?{query}")
        assert (status, page["next"]) == (200, None)
        assert [item["correlationId"] for item in page["items"]] == expected, query


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=abc", "cursor"),
        ("status=queued", "status"),
        ("status=null", "status"),
        ("currency=eur", "currency"),
        ("from=now", "from"),
        ("page=2", "page"),
    ],
)
def test_transactions_refuse_a_filter_that_is_none(stack, query, name):
    status, _, problem = stack.call("GET", f"/accounts/jane/transactions?{query}")
    assert (status, problem["fields"]) == (400, [name])


def test_every_payment_was_charged_once_and_everything_adds_up(stack):
    ids = [row["correlationId"] for row in journal(stack)]
    assert ids
    assert len(ids) == len(set(ids))
    assert "It adds up" in stack.run("reconcile", "--data", str(stack.folder)).stdout


def status_of(stack, payment_id, expected):
    """The short answer once it has that status."""
    answer = stack.call("GET", f"/payments/{payment_id}/status")[2]
    return answer if answer["status"] == expected else None


def conflicting(stack, payment_id):
    """The view once it names conflicts."""
    view = stack.call("GET", f"/payments/{payment_id}")[2]
    return view if view["conflicts"] else None


def balance_of(stack, account):
    """Balance and version of an account of one currency."""
    (one,) = stack.call("GET", f"/accounts/{account}/balance")[2]["balances"]
    return one["balance"], one["version"]


def shifted(moment, by_ms):
    """A time of an answer, moved by milliseconds."""
    from datetime import datetime, timedelta

    return (datetime.fromisoformat(moment) + timedelta(milliseconds=by_ms)).strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ"
    )
