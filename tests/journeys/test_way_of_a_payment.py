"""The way of a payment, as a client sees it, on a whole running Voltpay."""

import uuid


def test_a_payment_is_accepted_routed_posted_and_answered(stack):
    payment_id = str(uuid.uuid4())
    body = {
        "correlationId": payment_id,
        "amount": 19.90,
        "accountId": "alice",
        "description": "a book",
        "email": "alice@example.org",
        "metadata": {"order": "7"},
    }

    status, headers, answer = stack.call("POST", "/payments", body)
    assert status == 202
    assert headers["Location"] == f"/payments/{payment_id}/status"
    assert headers["X-Request-Id"]
    assert answer["status"] == "queued"

    view = stack.until_status(payment_id, "completed")
    assert view["amount"] == 19.90
    assert view["processor"] == "default"
    assert view["fee"] == 1.00
    assert view["email"] == "alice@example.org"
    assert view["metadata"] == {"order": "7"}
    assert [each["state"] for each in view["attempts"]] == ["executed"]

    status, _, balance = stack.call("GET", "/accounts/alice/balance")
    assert status == 200
    assert balance["balances"] == [{"currency": "EUR", "balance": -19.90, "version": 1}]

    _, _, page = stack.call("GET", "/accounts/alice/transactions")
    assert [item["correlationId"] for item in page["items"]] == [payment_id]
    assert page["next"] is None

    _, headers, summary = stack.call("GET", "/payments-summary")
    assert headers["Voltpay-Complete"] == "true"
    assert summary["default"]["totalRequests"] >= 1
    assert summary["fallback"] == {"totalRequests": 0, "totalAmount": 0.00}


def test_the_same_request_again_gets_the_same_answer_before_and_after_it_is_posted(stack):
    payment_id = stack.pay(5, accountId="bob")
    body = {"correlationId": payment_id, "amount": 5, "accountId": "bob"}
    _, headers, first = stack.call("POST", "/payments", body)
    assert headers["Idempotency-Replayed"] == "true"
    stack.until_status(payment_id, "completed")
    status, headers, again = stack.call("POST", "/payments", body)
    assert (status, headers["Idempotency-Replayed"]) == (202, "true")
    assert again == first
    _, _, balance = stack.call("GET", "/accounts/bob/balance")
    assert balance["balances"][0]["balance"] == -5


def test_the_same_id_with_another_payment_is_refused_and_changes_nothing(stack):
    payment_id = stack.pay(7, accountId="carol")
    body = {"correlationId": payment_id, "amount": 8, "accountId": "dave"}
    status, headers, problem = stack.call("POST", "/payments", body)
    assert status == 422
    assert headers["Content-Type"].startswith("application/problem+json")
    assert problem["type"] == "urn:voltpay:problem:conflicting-repeat"
    assert problem["fields"] == ["amount", "accountId"]
    assert stack.until_status(payment_id, "completed")["amount"] == 7
    assert stack.call("GET", "/accounts/dave/balance")[0] == 404


def test_an_idempotency_key_stands_in_for_the_id(stack):
    headers = {"Idempotency-Key": '"order-4711"'}
    status, _, first = stack.call("POST", "/payments", {"amount": 1}, headers)
    assert status == 202
    status, answered, again = stack.call("POST", "/payments", {"amount": 1}, headers)
    assert (status, answered["Idempotency-Replayed"]) == (202, "true")
    assert again["correlationId"] == first["correlationId"]


def test_a_payment_without_an_account_is_booked_to_the_merchant_s_anonymous_account(stack):
    payment_id = stack.pay(3, merchantId="shop")
    stack.until_status(payment_id, "completed")
    status, _, balance = stack.call("GET", "/accounts/anonymous:shop/balance")
    assert status == 200
    assert balance["balances"][0]["balance"] == -3


def test_a_declined_payment_has_failed_and_moves_no_balance(stack):
    share = {"share": {"decline": 1.0}}
    with stack.behaving(0, "faults", share, {"share": {}}):
        payment_id = stack.pay(11, accountId="erin")
        view = stack.until_status(payment_id, "failed")
    assert view["detail"] == "declined"
    assert stack.call("GET", f"/payments/{payment_id}/status")[2]["status"] == "failed"
    _, _, balance = stack.call("GET", "/accounts/erin/balance")
    assert balance["balances"][0]["balance"] == 0


def test_when_the_cheaper_one_fails_the_other_takes_it_and_says_why(stack):
    with stack.behaving(0, "failure", {"failure": True}, {"failure": False}):
        payment_id = stack.pay(13, accountId="frank")
        view = stack.until_status(payment_id, "completed")
    assert view["processor"] == "fallback"
    assert [each["processor"] for each in view["attempts"]][-1] == "fallback"
    assert view["attempts"][-1]["explanation"]


def test_an_unknown_outcome_is_asked_for_and_adopted(stack):
    with stack.behaving(0, "faults", {"share": {"reset": 1.0}}, {"share": {}}):
        payment_id = stack.pay(17, accountId="grace")
        view = stack.until_status(payment_id, "completed")
    assert [each["processor"] for each in view["attempts"]] == [view["processor"]]
    done = stack.run("reconcile", "--data", str(stack.folder))
    assert "It adds up" in done.stdout
