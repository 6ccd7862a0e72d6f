"""Engines die under load: killed and restarted, away for a while, standing still, full."""

import os

import pytest
from tests.faults.engines import (
    away,
    cache_client,
    full,
    kill_engine,
    log_client,
    set_back,
    small_disk,
    stopped,
)
from tests.faults.ordeal import ACCEPTED_PER_S_MIN, ordeal
from tests.stack import Stack

from voltpay.app.topology import STAGES

AWAY_S = 4
STILL_S = 8
MIB = 1024 * 1024
GROUPS = [(stage, topic) for stage in STAGES for topic in stage.reads]


# A seed each: the payments of one that was used before would only be repeats.
@pytest.mark.parametrize(("seed", "name"), [(200, "log"), (201, "cache"), (202, "postgres")])
def test_an_engine_is_killed_and_started_again(stack, seed, name):
    with ordeal(stack, seed) as under_way:
        for _ in range(2):
            kill_engine(stack, name)
            under_way.until_accepted(50)


def test_while_the_log_is_away_there_is_a_503_and_never_a_202(stack):
    with ordeal(stack, 203) as under_way:
        with away(stack, "log"):
            under_way.during(0.5)
            came = under_way.during(AWAY_S)
        assert came["202"] == 0
        assert came["503"] > AWAY_S * ACCEPTED_PER_S_MIN / 2, came


def test_while_postgresql_is_away_payments_are_accepted(stack):
    with ordeal(stack, 204) as under_way:
        with away(stack, "postgres"):
            came = under_way.during(AWAY_S)
        assert came["202"] > AWAY_S * ACCEPTED_PER_S_MIN / 2, came


def test_while_the_cache_is_away_all_goes_on_and_every_status_is_told(stack):
    with ordeal(stack, 205) as under_way:
        with away(stack, "cache"):
            answers = under_way.readers.answers
            came = under_way.during(AWAY_S)
            assert under_way.readers.answers > answers + 10
        assert came["202"] > AWAY_S * ACCEPTED_PER_S_MIN / 2, came


def test_a_cache_that_forgets_everything_is_only_slower(stack):
    with cache_client(stack) as cache, ordeal(stack, 206) as under_way:
        for _ in range(20):
            stack.until(cache.dbsize)
            cache.flushall()
            under_way.during(0.2)


def test_all_engines_are_killed_at_once(stack):
    with ordeal(stack, 207):
        pids = {name: stack.engine_pid(name) for name in ("log", "cache", "postgres")}
        for pid in pids.values():
            os.kill(pid, 9)
        for name, pid in pids.items():
            stack.until(lambda name=name, pid=pid: stack.engine_pid(name) != pid, timeout_s=40)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "name"), [(210, "log"), (211, "cache"), (212, "postgres")])
def test_an_engine_stands_still_and_goes_on(stack, seed, name):
    with ordeal(stack, seed) as under_way, stopped(stack.engine_pid(name)):
        under_way.during(STILL_S)


@pytest.mark.parametrize(("stage", "topic"), GROUPS, ids=lambda each: getattr(each, "name", each))
def test_a_group_is_set_back_to_the_beginning(stack, stage, topic):
    with ordeal(stack, 220 + GROUPS.index((stage, topic))) as under_way:
        for _ in range(2):
            set_back(stack, topic, stage.group)
            under_way.during(0.5)


def test_a_log_at_its_memory_bound_refuses_drains_by_itself_and_accepts_again(stack):
    with log_client(stack) as log, ordeal(stack, 230) as under_way:
        bound = log.config_get("maxmemory")["maxmemory"]
        try:
            for processor in (0, 1):
                stack.configure(processor, "failure", {"failure": True})
            used = log.info("memory")["used_memory"]
            log.config_set("maxmemory", (used + MIB) * 100 // 60)
            stack.until(lambda: under_way.load.statuses["503"] > 50, timeout_s=60)
            came = under_way.during(1)
            assert came["503"] > came["202"] == 0, came
            for processor in (0, 1):
                stack.configure(processor, "failure", {"failure": False})
            under_way.until_accepted(200)
        finally:
            log.config_set("maxmemory", bound)


def test_a_log_beyond_its_memory_bound_carries_on_what_it_has(stack):
    with log_client(stack) as log, ordeal(stack, 231) as under_way:
        bound = log.config_get("maxmemory")["maxmemory"]
        try:
            log.config_set("maxmemory", MIB)
            under_way.during(0.5)
            came = under_way.during(1)
            assert came["503"] > came["202"] == 0, came
        finally:
            log.config_set("maxmemory", bound)


@pytest.mark.slow
def test_a_full_disk_under_the_log_makes_no_false_promise(folder):
    data = folder / "full-log"
    with (
        small_disk(data / "log", "64m", "0700") as disk,
        Stack(data) as stack,
        ordeal(stack, 240) as under_way,
    ):
        with full(disk):
            under_way.during(0.5)
            came = under_way.during(AWAY_S)
            written = (disk / "server.log").read_text()
        assert "AOF write error" in written
        assert came["202"] == 0, came
        under_way.until_accepted(200)


@pytest.mark.slow
def test_a_full_disk_under_postgresql_is_waited_for(folder):
    data = folder / "full-books"
    with (
        small_disk(data / "postgres", "400m", "0711") as disk,
        Stack(data) as stack,
        ordeal(stack, 241) as under_way,
    ):
        with full(disk):
            came = under_way.during(AWAY_S)
            written = (disk / "server.log").read_text() + log_of(stack)
        assert "No space left on device" in written
        assert came["202"] > AWAY_S * ACCEPTED_PER_S_MIN / 2, came


def log_of(stack):
    """What the roles wrote."""
    return (stack.folder / "voltpay.log").read_text()
