"""The checker is checked: the product is given one defect, runs, and is reconciled.

Each defect must be seen as what it is, with the very payments that it befell: who these are is
known from the processors' journals, the client's history, or the defect's own notes.
"""

import json
import os
import re
import signal
import sys
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.faults import altered
from tests.faults.altered import BEFALLEN, noted
from tests.faults.engines import full, log_client, small_disk, stopped
from tests.faults.hygiene import leaks
from tests.faults.ordeal import HISTORY, checked, loaded, verdict_of
from tests.faults.points import set_point
from tests.house.tree import ROOT
from tests.stack import Stack

from voltpay.foundation.runtime import failpoints
from voltpay.services.reconciliation.evidence import LIKELY_CAUSE
from voltpay.services.reconciliation.history import read_history

MIB = 1024 * 1024
RATE_PER_S = 100
SLOW_MS = 200
DELAY_MS = 3_000
DELAY_S_AND_MORE = 4.5
TRIES_MAX = 5
NO_SWEEP = {
    "VOLTPAY_ROUTING__SWEEP__AFTER_MS": "3600000",
    "VOLTPAY_ROUTING__SWEEP__EVERY_MS": "600000",
}
"""Else a settled payment that the ledger missed comes again, and there is nothing to catch."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only forked roles inherit an alteration"
)


@contextmanager
def running(place, alteration):
    """A Voltpay with that alteration; `marks` beside it has the points and the notes."""
    marks = place / "marks"
    marks.mkdir(parents=True)
    settings = {
        **NO_SWEEP,
        failpoints.VARIABLE: str(marks),
        altered.VARIABLE: str(marks),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    program = ("-m", "tests.faults.altered", alteration)
    with Stack(place / "data", settings=settings, program=program) as stack:
        yield stack


def marks_of(stack):
    """The folder of its points and notes."""
    return Path(stack.settings[altered.VARIABLE])


def nothing_happens(stack, seed):
    """Just a load."""
    with loaded(stack, seed, RATE_PER_S) as under_way:
        under_way.until_accepted(200)


def dying(role, point):
    """A role dies at a point under load, and another one takes its place."""

    def scene(stack, seed):
        with loaded(stack, seed, RATE_PER_S) as under_way:
            under_way.until_accepted(50)
            pid = stack.pids()[role]
            set_point(marks_of(stack), point)
            stack.until((marks_of(stack) / f"{point}.fired").exists)
        stack.until_replaced(role, pid)

    return scene


def the_log_is_full(stack, seed):
    """The log is beyond its memory bound while charges are under way; then routing dies."""
    with log_client(stack) as log, loaded(stack, seed, RATE_PER_S) as under_way, slow(stack):
        bound = log.config_get("maxmemory")["maxmemory"]
        under_way.until_accepted(100)
        pid = stack.pids()["routing"]
        log.config_set("maxmemory", MIB)
        try:
            assert under_way.during(1)["503"]
            os.kill(pid, signal.SIGKILL)
            stack.until_replaced("routing", pid)
        finally:
            log.config_set("maxmemory", bound)
        under_way.until_accepted(20)


@contextmanager
def slow(stack):
    """Inside, charges take a while, so that some are always under way."""
    with ExitStack() as both:
        for processor in (0, 1):
            slowed = stack.behaving(processor, "delay", {"delay": SLOW_MS}, {"delay": 0})
            both.enter_context(slowed)
        yield


def answers_come_too_late(stack, seed):
    """A processor executes what it is asked, after nobody waits for it any more."""
    with loaded(stack, seed, 30) as under_way:
        before = executed_by(stack, 0)
        stack.until(lambda: executed_by(stack, 0) > before)
        with stack.behaving(0, "delay", {"delay": DELAY_MS}, {"delay": 0}):
            in_time = executed_by(stack, 0)
            under_way.during(2)
            under_way.load.end()
            under_way.during(DELAY_S_AND_MORE)
    assert executed_by(stack, 0) > in_time


def executed_by(stack, processor):
    """The payments in a processor's own journal."""
    found, after = set(), 0
    while after is not None:
        url = f"{stack.processor_urls[processor]}/admin/payments?after={after}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            page = json.load(answer)
        found |= {each["correlationId"] for each in page["items"]}
        after = page["next"]
    return found


def executed(stack):
    """The payments in any journal."""
    return executed_by(stack, 0) | executed_by(stack, 1)


def promised_in_vain(stack):
    """What clients were promised and no processor ever executed."""
    asked = read_history(stack.folder / HISTORY)
    return {str(each.payment_id) for each in asked if each.outcome == "ok"} - executed(stack)


def acknowledged_unrouted(stack):
    """What routing had acknowledged when it died, but for what the resolver carried on."""
    return {each for each in begun_not_done(stack, "route") if not is_posted(stack, each)}


def is_posted(stack, payment_id):
    """Whether a client is told that a payment is in the books."""
    return "postedAt" in stack.call("GET", f"/payments/{payment_id}")[2]


def acknowledged_unposted(stack):
    """What the ledger had acknowledged when it died."""
    return begun_not_done(stack, "post")


def begun_not_done(stack, stage):
    """What a stage acknowledged and never did."""
    return notes(stack, f"{stage}.begun") - notes(stack, f"{stage}.done")


def refused_and_acknowledged(stack):
    """Whose outcome the log refused and whose message it let go, all in one pipeline."""
    with log_client(stack) as log:
        assert log.info("commandstats")["cmdstat_xadd"]["rejected_calls"]
    return notes(stack, "finish.refused") - notes(stack, "finish.done")


def executed_twice(stack):
    """What both processors executed."""
    return executed_by(stack, 0) & executed_by(stack, 1)


def befallen(stack):
    """Whom the alteration says that it befell."""
    return notes(stack, BEFALLEN)


def notes(stack, kind):
    """Whom the alteration noted for that, each once."""
    return set(noted(marks_of(stack), kind))


def posted_again(stack):
    """What the ledger posted more than once."""
    posted = Counter(noted(marks_of(stack), "posted"))
    return {payment_id for payment_id, times in posted.items() if times > 1}


LEDGER_DIES = dying("ledger", "post.before_commit")
ROUTING_DIES = dying("routing", "route.before_attempt")
POSTED_TWICE = dying("ledger", "post.before_publish")

CASES = {
    "acknowledge-before-append": (dying("api", altered.ANSWERED), promised_in_vain, {"lost"}),
    "acknowledge-before-routing": (ROUTING_DIES, acknowledged_unrouted, {"lost", "unposted"}),
    "acknowledge-before-commit": (LEDGER_DIES, acknowledged_unposted, {"unposted"}),
    "plain-pipeline": (the_log_is_full, refused_and_acknowledged, {"unposted"}),
    "lost-posting": (nothing_happens, befallen, {"missing posting"}),
    "moved-balance": (nothing_happens, befallen, {"wrong balance"}),
    "forgotten-posting": (POSTED_TWICE, posted_again, {"posted twice"}),
    "dropped-fact": (nothing_happens, befallen, {"stale read model"}),
    "wrong-attempt": (nothing_happens, befallen, {"wrong processor"}),
    "wrong-processor": (nothing_happens, befallen, {"wrong processor"}),
    "fail-over-on-unknown": (answers_come_too_late, executed_twice, {"charged twice"}),
}
"""An alteration: what happens, whom it befalls, and the differences that name exactly these."""

QUICK = {"wrong-processor", "fail-over-on-unknown"}
FINAL = frozenset(LIKELY_CAUSE) - {"left over"}
"""What does not mend itself: all but what is still on its way."""


def named(verdict, kinds):
    """Whom a verdict names for differences of these kinds."""
    return {each.who for each in verdict.differences if each.what in kinds}


def payments_named(verdict):
    """The payments among whom a verdict names for whatever."""
    return {who for who in named(verdict, LIKELY_CAUSE) if re.fullmatch(r"[0-9a-f-]{36}", who)}


@pytest.mark.parametrize(
    "alteration",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES],
)
def test_an_alteration_is_caught_and_whom_it_befell_is_named(folder, alteration):
    scene, whom, kinds = CASES[alteration]
    with running(folder / alteration, alteration) as stack:
        scene(stack, 1)
        verdict = verdict_of(stack, expected=FINAL)
        victims = whom(stack)
        assert victims
        assert named(verdict, kinds) == victims
        assert payments_named(verdict) <= victims


@pytest.mark.slow
def test_what_happens_harms_nothing_where_nothing_is_altered(folder):
    scenes = (nothing_happens, LEDGER_DIES, ROUTING_DIES, the_log_is_full, answers_come_too_late)
    with running(folder / "nothing", "nothing") as stack:
        for seed, scene in enumerate(scenes):
            scene(stack, seed)
            checked(stack)
        assert befallen(stack) == set()


@pytest.mark.slow
def test_the_command_names_whom_and_the_likely_cause_and_exits_with_1(folder):
    with running(folder / "command", "wrong-attempt") as stack:
        nothing_happens(stack, 1)
        verdict_of(stack, expected=FINAL)
        history = str(stack.folder / HISTORY)
        arguments = ("--data", str(stack.folder), "--history", history)
        done = stack.run("reconcile", *arguments, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert LIKELY_CAUSE["wrong processor"] in done.stdout
        assert befallen(stack)
        assert all(victim in done.stdout for victim in befallen(stack))


@pytest.mark.slow
def test_a_log_that_syncs_every_second_loses_promises_on_a_full_disk(folder):
    place = folder / "everysec"
    with (
        small_disk(place / "data" / "log", "64m", "0700") as disk,
        running(place, "nothing") as stack,
    ):
        # What is lost is what one turn of the server wrote; it may have been a heartbeat alone.
        for seed in range(TRIES_MAX):
            the_disk_fills_up(stack, disk, seed)
            verdict = verdict_of(stack, expected=FINAL)
            if promised_in_vain(stack):
                break
        assert promised_in_vain(stack)
        assert named(verdict, {"lost"}) == promised_in_vain(stack)
        assert payments_named(verdict) == promised_in_vain(stack)


def the_disk_fills_up(stack, disk, seed):
    """Under a log that syncs every second, while nobody takes from it; then the log is killed.

    With room again all goes on.
    """
    pid = stack.engine_pid("log")
    with log_client(stack) as log, stopped(stack.pids()["routing"]):
        log.config_set("appendfsync", "everysec")
        with loaded(stack, seed) as under_way:
            under_way.until_accepted(50)
            with full(disk):
                stack.until(lambda: under_way.load.statuses["503"] > 50)
                under_way.load.end()
                assert log.info("persistence")["aof_last_write_status"] == "err"
                os.kill(pid, signal.SIGKILL)
        stack.until(lambda: stack.engine_pid("log") != pid, timeout_s=40)
    with loaded(stack, seed + TRIES_MAX) as under_way:
        under_way.until_accepted(50)


@pytest.mark.slow
def test_personal_data_that_is_not_sealed_is_found(folder):
    with running(folder / "not-sealed", "not-sealed") as stack:
        nothing_happens(stack, 1)
        assert verdict_of(stack).holds
        found = leaks(stack)
        assert any(name.startswith(str(stack.folder / "log")) for name in found), found
        assert any(name.startswith(str(stack.folder / "postgres")) for name in found), found
