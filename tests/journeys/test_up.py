"""`voltpay up`: from nothing, again, and after the death of any process."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from tests.journeys.inside import charges_of
from tests.stack import Stack

ROLES = ("api", "routing", "ledger", "projection", "sandbox default", "sandbox fallback")


def test_from_an_empty_folder_and_again_payments_are_in_the_balance_and_a_stop_loses_none(folder):
    with Stack(folder / "again") as running:
        paid(running, "alice", 1)
        promised = [running.pay(1, accountId="dave") for _ in range(50)]
        children = every_process_of(running)
        assert running.stop() == 0
        assert not still_there(children)

        running.start()
        paid(running, "alice", 2)
        for payment_id in promised:
            running.until_status(payment_id, "completed")
        balances = running.call("GET", "/accounts/dave/balance")[2]["balances"]
        assert balances == [{"currency": "EUR", "balance": -50, "version": 50}]
        children = every_process_of(running)
        assert running.stop() == 0
        assert not still_there(children)


def test_after_the_death_of_the_supervisor_alone_a_new_one_finds_everything(folder):
    with Stack(folder / "orphaned") as running:
        paid(running, "bob", 1)
        children = every_process_of(running)
        running.process.kill()
        running.process.wait()
        running.start()
        paid(running, "bob", 2)
        assert "It adds up" in running.run("reconcile", "--data", str(running.folder)).stdout
        assert not still_there(children)


def test_a_new_supervisor_waits_for_a_port_that_a_killed_one_left_in_use_for_a_moment(folder):
    with Stack(folder / "held") as running:
        running.process.kill()
        running.process.wait()
        running.until(lambda: not is_reachable(running.ports[0]))
        # In a role's place: none can be held up here, as Linux wakes the stopped orphan.
        held = socket.create_server(("127.0.0.1", running.ports[0]))
        threading.Timer(2.5, held.close).start()
        running.start()
        paid(running, "eve", 1)


def test_every_role_is_named_in_the_process_list(stack):
    assert set(stack.pids()) == set(ROLES)
    for role, pid in stack.pids().items():
        assert title_of(pid) == f"voltpay: {role}"
    assert title_of(stack.process.pid) == "voltpay: supervisor"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_is_killed_comes_back_and_payments_go_on(stack, role):
    before = [stack.pay(1, accountId="carol") for _ in range(20)]
    dead = stack.pids()[role]
    os.kill(dead, signal.SIGKILL)
    stack.until(lambda: stack.pids().get(role, dead) != dead)
    stack.until(lambda: all(map(is_reachable, stack.ports)))
    after = [stack.pay(1, accountId="carol") for _ in range(5)]
    for payment_id in before + after:
        stack.until_status(payment_id, "completed", timeout_s=40)
    assert {len(charges_of(stack, each)) for each in before + after} == {1}


def paid(running, account, version):
    """Make a payment and see it in the balance."""
    running.until_status(running.pay(1.25, accountId=account), "completed")
    balances = running.call("GET", f"/accounts/{account}/balance")[2]["balances"]
    assert balances == [{"currency": "EUR", "balance": -1.25 * version, "version": version}]


def is_reachable(port):
    """Whether something listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def title_of(pid):
    """What the process list calls a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def every_process_of(running):
    """The supervisor and its children and theirs, as (process id, start time)."""
    parents = dict(every_process())
    family, grew = {running.process.pid}, True
    while grew:
        more = {pid for (pid, _), parent in parents.items() if parent in family} - family
        family |= more
        grew = bool(more)
    return [process for process in parents if process[0] in family]


def still_there(processes):
    """Those that have not ended within a moment."""
    end = time.monotonic() + 5
    while (left := set(processes) & dict(every_process()).keys()) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def every_process():
    """((process id, start time), parent) of all that run on this machine."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *rest = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if state != "Z":
            yield (int(path.parent.name), rest[17]), int(parent)
