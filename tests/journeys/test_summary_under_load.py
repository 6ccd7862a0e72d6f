"""The summary against the processors' own journals, window by window, while payments pour in."""

import random
import time
from datetime import UTC, datetime

import pytest
from tests.journeys.inside import PROCESSORS, asked, now_ms, own_summary
from tests.stack import Traffic

RATE_PER_S = 350
SECONDS = 35
FAILING_S = (10, 18)
PAYMENTS_MIN = 10_000
BEHIND_MS = 1_500
AFTERWARDS = 60
SEED = 7


class Journals:
    """The times at which the processors were asked to charge, as far as they were read."""

    def __init__(self, stack):
        self._urls = stack.processor_urls
        self._read = [0] * len(PROCESSORS)
        self.ids = []
        self.times_ms = []

    def read_on(self):
        """Read what came since; gives how many there are."""
        for i, url in enumerate(self._urls):
            after = self._read[i]
            while after is not None:
                page = asked(f"{url}/admin/payments", after=after, limit=10_000)
                for row in page["items"]:
                    self.ids.append(row["correlationId"])
                    self.times_ms.append(ms_of(row["requestedAt"]))
                    self._read[i] = row["sequence"]
                after = page["next"]
        self.times_ms.sort()
        return len(self.ids)


class Windows:
    """Draws windows whose bounds are next to payments, and compares both sides of each."""

    def __init__(self, stack, journals):
        self._stack = stack
        self._journals = journals
        self._chance = random.Random(SEED)
        self.equal = 0
        self.unequal = []
        self.incomplete = 0
        self.used_both = 0

    def compare_one(self):
        """Ask for one window that ended long enough ago."""
        until_ms = now_ms() - BEHIND_MS
        past = [at_ms for at_ms in self._journals.times_ms if at_ms + 1 <= until_ms]
        if not past:
            return
        bounds = sorted(self._chance.choice(past) + self._chance.randint(-1, 1) for _ in range(2))
        query = dict(zip(("from", "to"), map(text_of, bounds), strict=True))
        path = f"/payments-summary?from={query['from']}&to={query['to']}"
        status, headers, ours = self._stack.call("GET", path)
        theirs = own_summary(self._stack, **query)
        if status != 200 or headers["Voltpay-Complete"] != "true":
            self.incomplete += 1
        elif ours == theirs:
            self.equal += 1
            self.used_both += all(total["totalRequests"] for total in ours.values())
        else:
            self.unequal.append((query, ours, theirs))


@pytest.mark.slow
def test_the_summary_equals_the_processors_journals_during_load_and_afterwards(stack):
    journals = Journals(stack)
    windows = Windows(stack, journals)
    began, failing = time.monotonic(), False
    with Traffic(stack, SECONDS, seed=SEED, rate_per_s=RATE_PER_S) as load:
        while (elapsed_s := time.monotonic() - began) < SECONDS:
            if failing != (FAILING_S[0] <= elapsed_s < FAILING_S[1]):
                failing = not failing
                stack.configure(0, "failure", {"failure": failing})
            journals.read_on()
            for _ in range(5):
                windows.compare_one()
            time.sleep(0.1)
    during = windows.equal

    assert load.accepted > PAYMENTS_MIN, load.statuses
    stack.until(lambda: load.accepted <= journals.read_on(), timeout_s=60)
    time.sleep(BEHIND_MS / 1000)
    for _ in range(AFTERWARDS):
        windows.compare_one()

    assert windows.unequal == []
    assert during > 100
    assert windows.equal - during == AFTERWARDS
    assert windows.used_both > 20
    assert windows.incomplete <= during / 10
    assert len(journals.ids) == len(set(journals.ids)) == load.accepted
    whole = stack.call("GET", "/payments-summary")[2]
    assert whole == own_summary(stack)
    assert sum(total["totalRequests"] for total in whole.values()) == load.accepted
    assert "It adds up" in stack.run("reconcile", "--data", str(stack.folder)).stdout


def ms_of(moment):
    """A time of a journal in milliseconds."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def text_of(at_ms):
    """Milliseconds as a bound of a window."""
    whole = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at_ms % 1000:03d}Z"
