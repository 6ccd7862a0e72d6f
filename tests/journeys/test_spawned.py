"""Roles started afresh instead of forked, as where forking is not safe."""

import os
import signal

import pytest
from tests.stack import Stack


@pytest.fixture(scope="module")
def spawned(folder):
    """A whole Voltpay whose roles are fresh interpreters."""
    with Stack(folder / "spawned", arguments=("--spawn",)) as running:
        yield running


def test_a_payment_goes_its_way(spawned):
    payment_id = spawned.pay(19.90, accountId="alice")
    assert spawned.until_status(payment_id, "completed")["processor"] == "default"


def test_a_dead_role_is_started_again(spawned):
    before = spawned.pids()["ledger"]
    os.kill(before, signal.SIGKILL)
    spawned.until(lambda: spawned.pids().get("ledger", before) != before)
    payment_id = spawned.pay(5, accountId="alice")
    spawned.until_status(payment_id, "completed")
