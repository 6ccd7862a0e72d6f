"""A company has its own names for the topics: the whole of Voltpay runs on them."""

import shutil
import tempfile
from pathlib import Path

import pytest
import redis
from tests.stack import Stack

from voltpay.foundation.engines.embedded import installed_urls

NAMES = {
    "VOLTPAY_TOPICS__SETTLED": "payment_writer_topic",
    "VOLTPAY_TOPICS__POSTED": "payment_read_topic",
    "VOLTPAY_TOPICS__DEAD": "payment_dead",
}


@pytest.fixture
def stack():
    root = Path(tempfile.mkdtemp(prefix="voltpay-topics-"))
    with Stack(root / "data", settings=NAMES) as running:
        yield running
    shutil.rmtree(root, ignore_errors=True)


def test_a_payment_goes_its_way_by_other_names(stack):
    payment_id = stack.pay(3, accountId="alice")
    assert stack.until_status(payment_id, "completed")["processor"] == "default"
    assert stack.call("GET", "/accounts/alice/balance")[2]["balances"][0]["balance"] == -3
    with redis.Redis.from_url(installed_urls(stack.folder).log) as log:
        streams = {key.decode().split(":")[1] for key in log.scan_iter("log:*", _type="stream")}
    assert {"payment_writer_topic", "payment_read_topic"} <= streams
    assert not {"payment.settled", "payment.posted", "payment.dead"} & streams
    gauge = 'voltpay_log_backlog{group="ledger",topic="payment_writer_topic"} 0.0'
    stack.until(lambda: gauge in stack.metrics("ledger"))
    assert "It adds up" in stack.run("reconcile", "--data", str(stack.folder)).stdout
