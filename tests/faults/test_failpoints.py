"""Processes die at the worst moments: before and after each step of a payment's way."""

import os
import re
import signal

import pytest
from tests.faults.more import one_more
from tests.faults.ordeal import ordeal
from tests.faults.points import POINTS, set_point
from tests.house.tree import SRC
from tests.stack import Stack

from voltpay.foundation.runtime.failpoints import STOP, VARIABLE

OF_LOOPS = {
    f"{stage}.{when}_publish"
    for stage in ("route", "post", "project")
    for when in ("before", "after")
}
SHORT = (
    "accept.after_append",
    "route.after_attempt",
    "route.after_call",
    "route.before_publish",
    "resolve.before_publish",
    "post.before_commit",
    "post.before_publish",
    "project.after_commit",
)
"""The points that the short set tries: after an effect, and before it is told to anybody."""
STOPPED = ("route.after_attempt", "route.before_call", "route.after_call", "post.before_commit")
STOPPED_S = 7
LOST = "voltpay_routing_attempts_lost_total"
"""Attempts that the process which stood still found taken over by the other one."""


@pytest.fixture(scope="module")
def points(folder):
    """The folder in which a test names the point that is to strike."""
    place = folder / "points"
    place.mkdir()
    return place


@pytest.fixture(scope="module")
def stack(folder, points):
    """A whole Voltpay that looks into that folder, with a processor that loses some answers."""
    with Stack(folder / "data", settings={VARIABLE: str(points)}) as running:
        running.configure(0, "faults", {"share": {"reset": 0.02}, "seed": 1})
        yield running


def test_every_point_of_the_code_is_tried():
    named = {
        name
        for path in SRC.rglob("*.py")
        for name in re.findall(r'reach\("(.+?)"\)', path.read_text())
    }
    assert named | OF_LOOPS == POINTS.keys()


@pytest.mark.parametrize(
    "point",
    [pytest.param(each, marks=[] if each in SHORT else pytest.mark.slow) for each in POINTS],
)
def test_a_role_dies_at_a_point_under_load(stack, points, point):
    role = POINTS[point]
    with ordeal(stack, 100 + list(POINTS).index(point)):
        pid = stack.pids()[role]
        set_point(points, point)
        stack.until((points / f"{point}.fired").exists)
        stack.until_replaced(role, pid)
    (points / f"{point}.fired").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("point", STOPPED)
def test_a_role_stands_still_at_a_point_for_longer_than_its_lease_and_goes_on(stack, points, point):
    pid = stack.pids()[POINTS[point]]
    lost = stack.metric("routing", LOST)
    with ordeal(stack, 150 + list(POINTS).index(point)) as under_way, one_more(stack, "routing"):
        set_point(points, point, STOP)
        stack.until((points / f"{point}.fired").exists)
        under_way.during(STOPPED_S)
        os.kill(pid, signal.SIGCONT)
        if POINTS[point] == "routing":
            stack.until(lambda: stack.metric("routing", LOST) > lost)
    assert stack.pids()[POINTS[point]] == pid
    (points / f"{point}.fired").unlink()
