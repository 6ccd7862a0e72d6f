"""Routing at work on a whole running Voltpay: which processor, how many workers, which limits."""

import time
from pathlib import Path

from tests.stack import Traffic

TCP_TABLE = Path("/proc/net/tcp")


def totals(stack):
    """(default, fallback): how many payments each has executed, as we say."""
    summary = stack.call("GET", "/payments-summary")[2]
    return summary["default"]["totalRequests"], summary["fallback"]["totalRequests"]


def sockets_to(ports):
    """Connections established to these ports of this machine."""
    wanted = {f"{port:04X}" for port in ports}
    rows = [line.split() for line in TCP_TABLE.read_text().splitlines()[1:]]
    return sum(1 for row in rows if row[3] == "01" and row[2].split(":")[1] in wanted)


def test_with_both_healthy_everything_goes_to_the_cheaper(stack):
    with Traffic(stack, 4, seed=1) as load:
        pass
    stack.until(lambda: sum(totals(stack)) == load.accepted)
    assert totals(stack) == (load.accepted, 0)


def test_a_slowdown_reroutes_before_the_first_timeout(stack):
    unknown = stack.metric("routing", "voltpay_routing_charges_total", outcome="unknown")
    fallback = totals(stack)[1]
    slow = {"delay": 1_600}
    with Traffic(stack, 6, seed=2), stack.behaving(0, "delay", slow, {"delay": 0}):
        stack.until(lambda: totals(stack)[1] > fallback + 100)
    assert stack.metric("routing", "voltpay_routing_charges_total", outcome="unknown") == unknown


def test_workers_and_concurrency_follow_the_backlog_and_stay_within_their_bounds(stack):
    # What the slowdown held up may have called for one more.
    stack.until(lambda: stack.metric("routing", "voltpay_dispatch_workers") == 2, timeout_s=20)
    limits, workers, sockets = set(), set(), 0
    for processor in (0, 1):
        stack.configure(processor, "failure", {"failure": True})
    with Traffic(stack, 4, seed=3):
        time.sleep(3)
        for processor in (0, 1):
            stack.configure(processor, "failure", {"failure": False})
            stack.configure(processor, "delay", {"delay": 60})

    def has_looked_long_enough():
        nonlocal sockets
        workers.add(stack.metric("routing", "voltpay_dispatch_workers"))
        limits.add(stack.metric("routing", "voltpay_routing_lane_limit", processor="default"))
        if TCP_TABLE.exists():
            sockets = max(sockets, sockets_to(stack.ports[1:]))
        return 3 in workers and len(limits) > 2

    stack.until(has_looked_long_enough, timeout_s=30)
    stack.until(lambda: stack.metric("routing", "voltpay_dispatch_workers") == 2, timeout_s=20)
    assert max(workers) == 3
    assert (0 if TCP_TABLE.exists() else -1) < sockets <= 200
    for processor in (0, 1):
        stack.configure(processor, "delay", {"delay": 0})


def test_health_is_asked_for_at_most_once_in_five_seconds(stack):
    def calls():
        return stack.metric("routing", "voltpay_routing_probes_total", processor="default")

    before, began = calls(), time.monotonic()
    stack.until(lambda: calls() >= before + 2, timeout_s=25)
    elapsed_s = time.monotonic() - began
    assert calls() - before <= elapsed_s // 5 + 1


def test_afterwards_everything_adds_up(stack):
    stack.until(
        lambda: stack.run("reconcile", "--data", str(stack.folder), check=False).returncode == 0
    )
