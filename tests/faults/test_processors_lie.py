"""Processors lie, fail and dawdle under load: charged once, and completed means executed."""

import json
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from tests.faults.ordeal import ACCEPTED_PER_S_MIN, ordeal

DEFAULT, BOTH = (0,), (0, 1)
LIES = {
    "executes and answers too late": ({"late": 0.01}, "late"),
    "answers 500 after executing": ({"error_after_insert": 0.05}, "error_after_insert"),
    "resets after executing": ({"reset": 0.05}, "reset"),
    "resets before executing": ({"reset_before_insert": 0.05}, "reset_before_insert"),
    "answers garbage": ({"garbage": 0.05}, "garbage"),
    "answers a wrong amount": ({"amount_answered_wrong": 0.05}, "amount_answered_wrong"),
    "calls a first request a duplicate": ({"false_duplicate": 0.05}, "false_duplicate"),
    "says 404 and then 200": ({"reset": 0.05, "absent_first": 1.0}, "absent_first"),
    "declines": ({"decline": 0.05}, "decline"),
    "lies in every way at once": (
        {
            "reset": 0.02,
            "garbage": 0.02,
            "error_after_insert": 0.02,
            "false_duplicate": 0.02,
            "reset_before_insert": 0.02,
            "decline": 0.02,
            "absent_first": 0.5,
        },
        "false_duplicate",
    ),
}
TOO_LATE_MS = 12_000
"""Longer than any charge is waited for."""


def counts(stack, processor):
    """How often each fault was met by now."""
    url = f"{stack.processor_urls[processor]}/admin/faults"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())["counts"]


@contextmanager
def lying(stack, processors, share, **more):
    """Inside, these processors lie; nobody does afterwards."""
    for processor in processors:
        stack.configure(processor, "faults", {"share": share, "seed": 7, **more})
    try:
        yield
    finally:
        for processor in processors:
            stack.configure(processor, "faults", {"share": {}})


@contextmanager
def dawdling(stack, processors, delay_ms):
    """Inside, every charge takes so long."""
    for processor in processors:
        stack.configure(processor, "delay", {"delay": delay_ms})
    try:
        yield
    finally:
        for processor in processors:
            stack.configure(processor, "delay", {"delay": 0})


def until_charged(stack, processor):
    """Return once this processor executes charges: it may be left out after what came before."""

    def executed():
        labels = {"processor": processor, "outcome": "executed"}
        return stack.metric("routing", "voltpay_routing_charges_total", **labels)

    before = executed()
    stack.until(lambda: executed() > before, timeout_s=30)


@contextmanager
def failing(stack, processors):
    """Inside, every charge is answered with an empty 500."""
    for processor in processors:
        stack.configure(processor, "failure", {"failure": True})
    try:
        yield
    finally:
        for processor in processors:
            stack.configure(processor, "failure", {"failure": False})


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("processors", [DEFAULT, pytest.param(BOTH, marks=pytest.mark.slow)])
def test_a_processor_lies(stack, lie, processors):
    share, told_by = LIES[lie]
    met = counts(stack, 0).get(told_by, 0)
    seed = 300 + 20 * len(processors) + list(LIES).index(lie)
    lies = lying(stack, processors, share, answer_after_insert_ms=TOO_LATE_MS)
    with ordeal(stack, seed) as under_way, lies:
        stack.until(lambda: counts(stack, 0).get(told_by, 0) > met)
        under_way.during(1.5)


def test_a_wrong_amount_that_was_booked_waits_for_a_person(stack_of_its_own):
    stack = stack_of_its_own
    lie = {"amount_booked_wrong": 0.02}
    with ordeal(stack, 350, expected={"left over"}) as under_way, lying(stack, DEFAULT, lie):
        under_way.during(2)
    booked = counts(stack, 0)["amount_booked_wrong"]
    shown = stack.run(
        "reconcile", "--data", str(stack.folder), "--history", "client.jsonl", check=False
    )
    assert shown.returncode == 1
    assert shown.stdout.count("attempt at default is parked") == booked > 0
    parked = next(line.split()[2] for line in shown.stdout.splitlines() if "is parked" in line)
    assert stack.call("GET", f"/payments/{parked}/status")[2]["status"] == "processing"


def test_a_health_answer_that_lies_moves_traffic_and_nothing_else(stack):
    with ordeal(stack, 360) as under_way, lying(stack, BOTH, {"health_lies": 1.0}):
        met = counts(stack, 0).get("health_lies", 0)
        stack.until(lambda: counts(stack, 0).get("health_lies", 0) > met, timeout_s=30)
        under_way.during(2)


def test_a_health_endpoint_that_answers_429_is_not_failing(stack):
    def unheard():
        labels = {"processor": "default", "outcome": "nohealth"}
        return stack.metric("routing", "voltpay_routing_probes_total", **labels)

    before, stop = unheard(), threading.Event()
    crowd = [threading.Thread(target=_ask_for_health, args=(stack, stop)) for _ in range(5)]
    with ordeal(stack, 361) as under_way:
        for each in crowd:
            each.start()
        try:
            stack.until(lambda: unheard() > before, timeout_s=30)
            under_way.during(1)
        finally:
            stop.set()
            for each in crowd:
                each.join()


def _ask_for_health(stack, stop):
    while not stop.is_set():
        try:
            urllib.request.urlopen(
                f"{stack.processor_urls[0]}/payments/service-health", timeout=2
            ).close()
        except (urllib.error.HTTPError, TimeoutError, OSError):
            time.sleep(0.01)


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_both_processors_are_down_and_come_back(stack, seconds):
    with ordeal(stack, 370 + seconds) as under_way, failing(stack, BOTH):
        refused = stack.metric("routing", "voltpay_routing_charges_total", outcome="notdone")
        came = under_way.during(seconds)
        assert came["202"] > ACCEPTED_PER_S_MIN / 2 * seconds
        assert stack.metric("routing", "voltpay_routing_charges_total", outcome="notdone") > refused


@pytest.mark.parametrize("seconds", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_processors_flap_every_second_while_slow(stack, seconds):
    with ordeal(stack, 440 + seconds) as under_way, dawdling(stack, BOTH, 2_500):
        unknown = stack.metric("routing", "voltpay_routing_charges_total", outcome="unknown")
        for _ in range(seconds // 2):
            with failing(stack, BOTH):
                under_way.during(1)
            under_way.during(1)
        assert stack.metric("routing", "voltpay_routing_charges_total", outcome="unknown") > unknown


@pytest.mark.parametrize("processors", [DEFAULT, pytest.param(BOTH, marks=pytest.mark.slow)])
def test_a_processor_is_ten_seconds_slow(stack, processors):
    def unknown():
        return stack.metric("routing", "voltpay_routing_charges_total", outcome="unknown")

    with ordeal(stack, 480 + len(processors)) as under_way:
        until_charged(stack, "default")
        with dawdling(stack, processors, 10_000):
            before = unknown()
            under_way.during(4)
            stack.until(lambda: unknown() > before)
