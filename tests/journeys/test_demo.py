"""The demo, and the reconciliation that ends it: it fails for each kind of planted difference."""

import asyncio
import json
import os
import re
import signal
import urllib.request
from contextlib import contextmanager

import pytest
import redis
from tests.reconciliation.altering import altering
from tests.stack import Stack

from voltpay.app.topology import TopicNames
from voltpay.cli.demo.load import Load
from voltpay.cli.installation import found
from voltpay.foundation.engines.embedded import installed_urls
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.foundation.engines.redis.names import stream_of
from voltpay.services.reconciliation.history import History, Line, read_history

GROUP = "routing"


class Case:
    """Some payments with their client's history, and the verdict on them."""

    def __init__(self, stack):
        self.stack = stack
        self.history = stack.folder / "history.jsonl"
        self.history.unlink(missing_ok=True)

    def load(self):
        """A short load; gives an id that was promised."""

        async def run():
            with History(self.history) as history:
                await Load(self.stack.url, rate_per_s=100, seed=5, history=history).run(0.4)

        asyncio.run(run())
        return str(next(each for each in self.asked() if each.outcome == "ok").payment_id)

    def asked(self):
        """What the client knows."""
        return read_history(self.history)

    def pay(self):
        """One more payment, written down; gives its id."""
        payment_id = self.stack.pay(12.34, accountId="planted")

        async def write():
            with History(self.history) as history:
                await history.note(Line(payment_id, 1234, "ok"))

        asyncio.run(write())
        return payment_id

    def drain(self):
        """Wait until everything that was promised is posted."""
        for each in self.asked():
            self.stack.until_status(str(each.payment_id), "completed")

    def reconcile(self, *, holds):
        """What the command says; its exit code is 0 exactly if it holds."""
        options = ("--data", str(self.stack.folder), "--history", str(self.history))
        done = self.stack.run("reconcile", *options, check=False)
        assert done.returncode == (0 if holds else 1), done.stdout + done.stderr
        assert ("It adds up" in done.stdout) == holds
        assert done.stderr == ""
        return done.stdout


@pytest.fixture
def case(stack):
    """An installation that was emptied, with a drained load in it."""
    assert stack.call("POST", "/purge-payments")[0] == 204
    made = Case(stack)
    made.planted = made.load()
    made.drain()
    return made


def alter(stack, sql):
    """Change the stores behind everybody's back."""

    async def run(url):
        database = Postgres(url, name="alter", size_max=1)
        try:
            await database.execute(altering(sql))
        finally:
            await database.close()

    with found(stack.folder, None) as settings:
        asyncio.run(run(settings.database_url.get_secret_value()))


@contextmanager
def stopped(stack, role):
    """A role that does nothing inside."""
    pid = stack.pids()[role]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def named(said, what, payment_id):
    """Whether the verdict names this difference with this payment."""
    return re.search(rf"^ +{what} +{payment_id} ", said, re.MULTILINE) is not None


def test_what_a_load_leaves_adds_up(case):
    said = case.reconcile(holds=True)
    promised = len(case.asked())
    assert re.search(rf"promised +{promised}\n", said)
    assert re.search(rf"executions +{promised}\n", said)


def test_a_payment_that_left_the_log_without_any_trace_is_lost(case):
    accepted = stream_of(TopicNames().accepted)
    with (
        stopped(case.stack, "routing"),
        redis.Redis.from_url(installed_urls(case.stack.folder).log) as log,
    ):
        lost = case.pay()
        ((_, ((position, _),)),) = log.xreadgroup(GROUP, "thief", {accepted: ">"}, count=1)
        assert log.xack(accepted, GROUP, position) == 1
        log.xgroup_delconsumer(accepted, GROUP, "thief")
    assert named(case.reconcile(holds=False), "lost", lost)


def test_a_payment_that_two_processors_executed_is_charged_twice(case):
    view = case.stack.call("GET", f"/payments/{case.planted}")[2]
    body = {
        "correlationId": case.planted,
        "amount": view["amount"],
        "requestedAt": view["requestedAt"],
    }
    url = case.stack.processor_urls[view["processor"] == "default"] + "/payments"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200
    assert named(case.reconcile(holds=False), "charged twice", case.planted)


def test_a_processor_that_executes_and_says_no_makes_us_charge_twice_and_it_shows(case):
    with case.stack.behaving(0, "faults", {"share": {"false_no": 1.0}}, {"share": {}}):
        planted = case.pay()
        assert case.stack.until_status(planted, "completed")["processor"] == "fallback"
    assert named(case.reconcile(holds=False), "charged twice", planted)


def test_a_processor_that_books_another_amount_than_it_says_shows(case):
    share = {"share": {"amount_booked_wrong_silently": 1.0}}
    with case.stack.behaving(0, "faults", share, {"share": {}}):
        planted = case.pay()
        case.stack.until_status(planted, "completed")
    assert named(case.reconcile(holds=False), "wrong amount", planted)


@pytest.mark.parametrize(
    ("what", "sql"),
    [
        (
            "wrong processor",
            "insert into reference.processor (name) values ('fallback') on conflict do nothing;"
            " update ledger.payment p set processor_id = r.id from reference.processor r"
            " where r.id <> p.processor_id and p.payment_id = '{id}'",
        ),
        (
            "wrong amount",
            "update ledger.payment set amount_minor = amount_minor + 1 where payment_id = '{id}'",
        ),
        (
            "unbalanced entry",
            "update ledger.posting set amount_minor = amount_minor + 1"
            " where payment_id = '{id}' and amount_minor > 0",
        ),
        ("stale read model", "delete from inquiry.payment where payment_id = '{id}'"),
        (
            "stale read model",
            "update inquiry.payment set executed = false where payment_id = '{id}'",
        ),
    ],
)
def test_a_store_that_was_altered_is_found_out(case, what, sql):
    alter(case.stack, sql.format(id=case.planted))
    assert named(case.reconcile(holds=False), what, case.planted)


def test_commands_work_on_an_installation_that_rests(case):
    """Its engines, and for its journals its processors, run for the time of the command."""
    stack, data = case.stack, ("--data", str(case.stack.folder))
    assert stack.stop() == 0
    try:
        counts = re.search(r"executed by default +(\d+)", case.reconcile(holds=True))
        assert int(counts[1]) == len(case.asked())
        assert "rebuilt from" in stack.run("rebuild", *data).stdout
        assert "voltpay dead show" in stack.run("dead", "list", *data).stdout
        assert "applied" in stack.run("migrate", "status", *data).stdout
        alter(stack, f"delete from inquiry.payment where payment_id = '{case.planted}'")
        assert named(case.reconcile(holds=False), "stale read model", case.planted)
        assert installed_urls(stack.folder) is None
    finally:
        stack.start()
    assert stack.call("GET", "/readyz")[0] == 200


def test_the_demo_plays_its_scenario_and_adds_up(folder):
    data = folder / "demo"
    stage = Stack(folder)
    said = stage.run("demo", "--seconds", "8", "--rate", "200", "--data", str(data)).stdout
    assert "It adds up, id by id" in said
    count = {name: int(number.replace(",", "")) for name, number in _COUNT.findall(said)}
    assert count["full breaker cycles"] >= 1
    assert count["unknown outcomes resolved"] >= 5
    assert count["open attempts"] == count["waiting"] == count["dead"] == 0
    asked = read_history(data / "history.jsonl")
    assert count["promised"] == len(asked) >= 1_200
    assert count["completed"] == count["executions"] >= 0.95 * count["promised"]
    again = stage.run("reconcile", "--data", str(data), "--history", str(data / "history.jsonl"))
    assert "It adds up" in again.stdout


_COUNT = re.compile(r"^([a-z ]+?) {2,}([\d,]+)$", re.MULTILINE)
