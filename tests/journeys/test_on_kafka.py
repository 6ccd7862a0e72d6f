"""The way of a payment with its log on Kafka: three brokers, one of them killed meanwhile."""

import json
import re
import time

import pytest
from tests import brokers
from tests.positions import set_all_back
from tests.stack import Stack, Traffic

from voltpay.app.settings import read_settings
from voltpay.cli.sandboxes import sandbox_processors
from voltpay.services.reconciliation.history import History

PARTITIONS = 12


@pytest.fixture(scope="module")
def cluster():
    libs = brokers.jars()
    if libs is None:
        pytest.skip(brokers.HOW_TO_GET)
    made = brokers.Brokers(libs, 3)
    made.start()
    yield made
    made.remove()


@pytest.fixture
def on_kafka(cluster, folder, log_url, cache_url, database_url):
    """A whole Voltpay, its log on the cluster, its claims on a Valkey."""
    settings = {
        "VOLTPAY_LOG_URL": cluster.url,
        "VOLTPAY_CLAIMS_URL": log_url,
        "VOLTPAY_CACHE_URL": cache_url,
        "VOLTPAY_DATABASE_URL": database_url,
        "VOLTPAY_PARTITIONS": str(PARTITIONS),
        "VOLTPAY_SECRET": "s" * 40,
    }
    with Stack(folder / "kafka", settings=settings) as stack:
        # Commands do not start the processors that `up` brought along: they are told of them.
        made = sandbox_processors(stack.ports[1:], "EUR")
        dumped = [one.model_dump(mode="json") for one in made]
        stack.settings = settings | {
            "VOLTPAY_PROCESSORS": json.dumps(dumped),
            "VOLTPAY_SANDBOX": "true",
        }
        yield stack


def drained_verdict(stack, *options):
    """What reconcile says once nothing is on its way."""
    said = []

    def holds():
        done = stack.run("reconcile", *options, check=False)
        said.append(done.stdout + done.stderr)
        return done.stdout if done.returncode == 0 else None

    try:
        return stack.until(holds, timeout_s=300)
    except AssertionError as error:
        raise AssertionError(said[-1]) from error


def settled_in(verdict):
    """How many payments it counts as completed or declined."""
    counts = dict(re.findall(r"^(completed|declined) +([\d,]+)$", verdict, re.MULTILINE))
    return sum(int(count.replace(",", "")) for count in counts.values())


@pytest.mark.slow
def test_payments_pass_while_a_broker_dies_and_groups_are_set_back(cluster, on_kafka, monkeypatch):
    asked = on_kafka.folder / "asked.history"
    with History(asked) as history, Traffic(on_kafka, 20, seed=21, history=history) as load:
        time.sleep(5)
        cluster.nodes[1].kill()
        time.sleep(8)
        cluster.nodes[1].start()
    assert load.accepted > 3_000
    settled = settled_in(drained_verdict(on_kafka, "--history", str(asked)))
    # What was answered with 503 while a leader was away may be on the log all the same.
    assert load.accepted <= settled <= load.sent
    paid = on_kafka.pay(12.34, accountId="anna")
    on_kafka.until_status(paid, "completed")
    assert on_kafka.call("GET", "/accounts/anna/balance")[0] == 200
    for name, value in on_kafka.settings.items():
        monkeypatch.setenv(name, value)
    assert set_all_back(read_settings()) > 3_000
    assert settled_in(drained_verdict(on_kafka)) == settled + 1
