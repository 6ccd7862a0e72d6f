"""The books while traffic goes on: groups set back, roles killed, rebuilt: once is once."""

import json
import os
import signal
import time

from tests.positions import set_all_back
from tests.stack import Traffic

from voltpay.cli.installation import found


def drained_verdict(stack):
    """What reconcile says once nothing is on its way."""

    def holds():
        done = stack.run("reconcile", "--data", str(stack.folder), check=False)
        return done.stdout if done.returncode == 0 else None

    return stack.until(holds, timeout_s=60)


def test_groups_set_back_to_the_beginning_change_nothing_twice(stack):
    with Traffic(stack, 8, seed=11) as load:
        for _ in range(4):
            time.sleep(1.2)
            with found(stack.folder, None) as settings:
                set_all_back(settings)
            # A role reads its position at its start: kill it, and it begins from there.
            killed = {role: stack.pids()[role] for role in ("ledger", "routing", "projection")}
            for pid in killed.values():
                os.kill(pid, signal.SIGKILL)
            stack.until(lambda killed=killed: all_replaced(stack, killed))
    verdict = drained_verdict(stack)
    assert f"{load.accepted:,}" in verdict


def all_replaced(stack, killed):
    """Whether every role runs with another process id than the one that was killed."""
    return all(stack.pids().get(role, pid) != pid for role, pid in killed.items())


def test_a_rebuild_during_load_ends_with_the_same_content(stack):
    with Traffic(stack, 8, seed=12):
        time.sleep(1)
        shown = stack.run("rebuild", "--data", str(stack.folder)).stdout
        assert "rebuilt from" in shown
        stack.run("rebuild", "--data", str(stack.folder))
    assert "It adds up" in drained_verdict(stack)


def test_every_role_logs_json_while_it_is_killed_and_comes_back(stack):
    lines = (stack.folder / "voltpay.log").read_text().splitlines()
    ended = [json.loads(line) for line in lines if "supervisor.role_ended" in line]
    assert {each["name"] for each in ended} >= {"ledger", "routing", "projection"}
