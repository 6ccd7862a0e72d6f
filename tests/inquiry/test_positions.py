"""`Voltpay-After` and `Voltpay-Position` over HTTP: no state older than one that was seen."""

import pytest
from tests.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A whole Voltpay with a standby."""
    folder = tmp_path_factory.mktemp("positions")
    folder.chmod(0o711)
    with Stack(folder / "data", arguments=("--replica",)) as running:
        yield running


def after(stack, path, position):
    """Status, the position of the answer, and the answer."""
    status, headers, answer = stack.call("GET", path, headers={"Voltpay-After": position})
    found = {name.lower(): value for name, value in headers.items()}
    return status, found.get("voltpay-position"), answer


def test_what_one_answer_showed_the_next_one_has(stack):
    for number in range(25):
        account = f"reader-{number}"
        paid = stack.pay(accountId=account, amount=5)
        answer = stack.until(lambda paid=paid: posted(stack, paid))
        status, position, balance = after(stack, f"/accounts/{account}/balance", answer)
        assert status == 200, (number, balance)
        assert balance["balances"][0]["balance"] == -5
        listed = after(stack, f"/accounts/{account}/transactions", position)[2]
        assert [item["correlationId"] for item in listed["items"]] == [paid]
        assert after(stack, "/payments-summary", position)[1] is not None


def posted(stack, paid):
    """The position of an answer that shows the payment as posted; None before."""
    status, position, answer = after(stack, f"/payments/{paid}", "0")
    return position if status == 200 and "postedAt" in answer else None


def test_questions_are_asked_of_the_standby(stack):
    def on_standby():
        stack.call("GET", "/accounts/nobody/balance")
        return stack.metric("api", "voltpay_database_reads_total", server="replica-1") > 0

    stack.until(on_standby)


def test_without_the_header_nobody_is_told_a_position(stack):
    stack.pay(accountId="quiet")
    stack.until(lambda: stack.call("GET", "/accounts/quiet/balance")[0] == 200)
    _, headers, _ = stack.call("GET", "/accounts/quiet/balance")
    assert "voltpay-position" not in {name.lower() for name in headers}


@pytest.mark.parametrize("text", ["yesterday", "", "-1", "0/1", "1" * 17])
def test_what_is_no_position_is_refused_by_name(stack, text):
    status, _, answer = after(stack, "/payments-summary", text)
    assert status == 400
    assert answer["fields"] == ["Voltpay-After"]
