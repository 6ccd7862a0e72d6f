"""One id, many requests: the same again and another payment, whenever and however they come."""

import json
import threading
import time
import urllib.error
import urllib.request
import uuid

import pytest
from tests.faults.more import one_more
from tests.journeys.inside import charges_of
from tests.stack import Stack, decoded

CROWD = 100
WINDOW_S = 2


@pytest.fixture(scope="module")
def other_ingest(stack):
    """The address of a second ingest process, on the same engines."""
    with one_more(stack, "ingest") as url:
        yield url


def post(url, payment_id, amount):
    """(status, whether it is said to be a repeat, answer) of one request."""
    body = json.dumps({"correlationId": payment_id, "amount": amount, "accountId": "rep"}).encode()
    request = urllib.request.Request(
        f"{url}/payments", body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            is_repeat = answer.headers.get("Idempotency-Replayed") == "true"
            return answer.status, is_repeat, decoded(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, False, decoded(error.read())


def assert_same(url, payment_id, first):
    """The same payment gets the same answer, and another one is refused, naming the field."""
    assert post(url, payment_id, 5) == (202, True, first)
    status, _, problem = post(url, payment_id, 6)
    assert (status, problem["type"]) == (422, "urn:voltpay:problem:conflicting-repeat")
    assert problem["fields"] == ["amount"]


def assert_made_once(stack, payment_id, amount=5):
    """It is completed, charged once, with its first amount."""
    view = stack.until_status(payment_id, "completed")
    assert view["amount"] == amount
    assert [row["amount"] for row in charges_of(stack, payment_id)] == [amount]


def test_one_after_another_before_and_after_it_is_posted(stack):
    payment_id = str(uuid.uuid4())
    status, is_repeat, first = post(stack.url, payment_id, 5)
    assert (status, is_repeat) == (202, False)
    assert_same(stack.url, payment_id, first)
    stack.until_status(payment_id, "completed")
    assert_same(stack.url, payment_id, first)
    assert_made_once(stack, payment_id)


def test_across_two_ingest_processes(stack, other_ingest):
    payment_id = str(uuid.uuid4())
    _, _, first = post(other_ingest, payment_id, 5)
    assert_same(stack.url, payment_id, first)
    assert_same(other_ingest, payment_id, first)
    assert_made_once(stack, payment_id)


def crowd(urls, payment_id, amounts):
    """The answers of many requests at once, each with the next amount, at the next address."""
    answers, gate = [], threading.Barrier(CROWD)

    def ask(number):
        gate.wait()
        amount = amounts[number % len(amounts)]
        answers.append((amount, post(urls[number // len(amounts) % len(urls)], payment_id, amount)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("processes", [1, 2])
def test_a_hundred_at_once_make_one_payment(stack, other_ingest, processes):
    payment_id = str(uuid.uuid4())
    answers = crowd([stack.url, other_ingest][:processes], payment_id, [5])
    assert {status for _, (status, _, _) in answers} == {202}
    assert sum(not is_repeat for _, (_, is_repeat, _) in answers) == 1
    assert len({json.dumps(answer) for _, (_, _, answer) in answers}) == 1
    assert_made_once(stack, payment_id)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_hundred_at_once_with_two_amounts_make_the_one_that_was_first(
    stack, other_ingest, processes
):
    payment_id = str(uuid.uuid4())
    answers = crowd([stack.url, other_ingest][:processes], payment_id, [5, 6])
    (first,) = {amount for amount, (status, _, _) in answers if status == 202}
    refused = {amount for amount, (status, _, _) in answers if status == 422}
    assert refused == {5, 6} - {first}
    assert_made_once(stack, payment_id, first)


def test_after_a_restart_of_everything(folder):
    payment_id = str(uuid.uuid4())
    with Stack(folder / "again") as stack:
        _, _, first = post(stack.url, payment_id, 5)
        stack.stop()
        stack.start()
        assert_same(stack.url, payment_id, first)
        assert_made_once(stack, payment_id)


def test_after_the_repeat_window_the_attempt_knows_it(folder):
    window = {"VOLTPAY_REPEAT_WINDOW_S": str(WINDOW_S)}
    with Stack(folder / "later", settings=window) as stack:
        payment_id = str(uuid.uuid4())
        post(stack.url, payment_id, 5)
        assert_made_once(stack, payment_id)
        stack.until(lambda: not post(stack.url, payment_id, 5)[1])
        assert_made_once(stack, payment_id)
        time.sleep(WINDOW_S)
        status, _, _ = stack.until(lambda: (it := post(stack.url, payment_id, 6))[0] == 202 and it)
        assert status == 202
        view = stack.until(
            lambda: (it := stack.call("GET", f"/payments/{payment_id}")[2]).get("conflicts") and it
        )
        assert view["conflicts"][0]["fields"] == ["amount"]
        assert (view["status"], view["amount"]) == ("completed", 5)
        assert_made_once(stack, payment_id)
        assert stack.run("reconcile", "--data", str(stack.folder)).returncode == 0
