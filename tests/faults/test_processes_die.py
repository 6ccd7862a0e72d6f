"""Processes die: each role and the supervisor, killed, stopped and asked to end, under load."""

import json
import os
import random
import signal
import time

import pytest
from tests.faults.ordeal import checked, ordeal

ROLES = ("api", "routing", "ledger", "projection", "sandbox default", "sandbox fallback")
LEASES_S = 7
"""Longer than an attempt's lease (two timeouts of 2 s, and 1 s) and a consumer's life."""


def kill(stack, role):
    """Kill a role at once; gives its process id once another one has taken its place."""
    pid = stack.pids()[role]
    os.kill(pid, signal.SIGKILL)
    stack.until_replaced(role, pid)
    assert ended_by(stack, pid) == -signal.SIGKILL
    return pid


def ended_by(stack, pid):
    """The exit code with which the supervisor saw a process end."""
    lines = (stack.folder / "voltpay.log").read_text().splitlines()
    ends = [json.loads(line) for line in lines if "supervisor.role_ended" in line]
    return next(each["code"] for each in ends if each["pid"] == pid)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_killed_at_random_moments(stack, role):
    seed = ROLES.index(role)
    chance = random.Random(seed)
    with ordeal(stack, seed) as under_way:
        for _ in range(2):
            under_way.during(chance.random())
            kill(stack, role)


def test_all_roles_are_killed_at_once(stack):
    with ordeal(stack, 10):
        pids = {role: stack.pids()[role] for role in ROLES}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        for role, pid in pids.items():
            stack.until_replaced(role, pid)


def test_the_supervisor_is_killed_and_started_again(stack):
    with ordeal(stack, 11):
        children = stack.pids()
        stack.process.kill()
        stack.process.wait()
        stack.start()
        assert not set(children.values()) & set(stack.pids().values())


def test_everything_is_killed_at_once_engines_too(stack):
    with ordeal(stack, 12):
        engines = [stack.engine_pid(name) for name in ("log", "cache", "postgres")]
        for pid in (stack.process.pid, *stack.pids().values(), *engines):
            os.kill(pid, signal.SIGKILL)
        stack.process.wait()
        stack.start()


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_stopped_for_longer_than_every_lease_and_goes_on(stack, role):
    with ordeal(stack, 20 + ROLES.index(role)) as under_way:
        pid = stack.pids()[role]
        os.kill(pid, signal.SIGSTOP)
        try:
            under_way.during(LEASES_S)
            assert state_of(pid) == "T"
        finally:
            os.kill(pid, signal.SIGCONT)
        assert stack.pids()[role] == pid


def test_a_stop_under_load_answers_what_is_in_flight_and_loses_nothing(stack):
    with ordeal(stack, 30) as under_way:
        assert stack.stop() == 0
        statuses = dict(under_way.load.statuses)
        time.sleep(0.1)
        stack.start()
    # Whatever was read was answered in full. What came too late met no listener, or was sent in the
    # very moment in which its idle connection was closed.
    broken = set(statuses) - {"202", "422", "ConnectError"}
    assert not any(each.isdigit() for each in broken), statuses
    assert sum(statuses[each] for each in broken) <= 2, statuses
    checked(stack)


def state_of(pid):
    """The state of a process as the system sees it: T is stopped."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0]
