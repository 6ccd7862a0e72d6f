"""An ordeal: load on a running Voltpay, a fault meanwhile; then it heals, drains, and is checked.

The check is the product's own reconciliation, with the client's history. Beyond it: no reader saw a
payment go backwards or vanish, no personal datum stands anywhere in clear, and the load is accepted
as before within a minute.
"""

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults.hygiene import leaks
from tests.faults.readers import Readers

from voltpay.cli.demo.load import Load
from voltpay.cli.installation import found, opened_house
from voltpay.cli.reconciling import drained, reconcile
from voltpay.core.errors import VoltpayError
from voltpay.services.reconciliation.history import History, read_history
from voltpay.services.reconciliation.sources import Window

RATE_PER_S = 250
ACCEPTED_PER_S_MIN = 200
RECOVER_S = 60
WARM_S = 1.0
WARM_MAX_S = 60.0
SPEED_SHARE = 0.9
HISTORY = "client.jsonl"


@dataclass(frozen=True)
class Ordeal:
    """What a test sees of the load while it goes on."""

    load: Load
    readers: Readers

    def warm(self):
        """Return once the load has gone on for a while at the speed that it must have."""
        end = time.monotonic() + WARM_MAX_S
        while (speed := self._speed()) < ACCEPTED_PER_S_MIN:
            assert time.monotonic() < end, f"{speed:.0f}/s: {self.load.statuses}"

    def _speed(self):
        began, accepted = time.monotonic(), self.load.accepted
        time.sleep(WARM_S)
        return (self.load.accepted - accepted) / (time.monotonic() - began)

    def during(self, seconds):
        """Let the load go on for so long; gives the answers that came meanwhile, by status."""
        before = Counter(self.load.statuses)
        time.sleep(seconds)
        return Counter(self.load.statuses) - before

    def until_accepted(self, count, timeout_s=RECOVER_S):
        """Return once so many more payments were accepted."""
        wanted, end = self.load.accepted + count, time.monotonic() + timeout_s
        while self.load.accepted < wanted:
            assert time.monotonic() < end, f"nothing is accepted: {self.load.statuses}"
            time.sleep(0.02)

    def recover(self):
        """Return once the load is accepted as fast as it was before the fault."""
        end = time.monotonic() + RECOVER_S
        while True:
            sent = self.load.sent
            came = self.during(WARM_S)
            good = came["202"] + came["422"]
            if good >= SPEED_SHARE * (self.load.sent - sent):
                return
            assert time.monotonic() < end, f"it does not recover: {came}"


@contextmanager
def ordeal(stack, seed, *, rate_per_s=RATE_PER_S, expected=frozenset()):
    """Load for as long as the block lasts; afterwards everything must add up.

    `expected` are the kinds of differences that the fault is bound to leave: see `checked`.
    """
    with loaded(stack, seed, rate_per_s) as under_way:
        under_way.warm()
        yield under_way
        under_way.recover()
    assert under_way.readers.wrong == []
    assert under_way.readers.answers > 0
    checked(stack, expected=expected)


def checked(stack, *, expected=frozenset()):
    """The verdict, once all has drained: it holds, but for differences of the kinds expected."""
    verdict = verdict_of(stack, expected=expected)
    wrong = [each for each in verdict.differences if each.what not in expected]
    assert wrong == [], f"{len(wrong)} differences: {wrong[:10]} {verdict.counts}"
    assert verdict.counts["waiting"] == 0
    assert leaks(stack) == []
    return verdict


def verdict_of(stack, *, expected=frozenset(), within_s=RECOVER_S):
    """What reconciliation says of the installation once it is fine, or when the time is up.

    An engine may be on its way back still: then it is asked again.
    """
    end = time.monotonic() + within_s
    while True:
        try:
            with found(stack.folder, None) as settings:
                return asyncio.run(_verdict(stack, settings, expected, end))
        except VoltpayError:
            if time.monotonic() > end:
                raise
            time.sleep(0.25)


async def _verdict(stack, settings, expected, end):
    history = stack.folder / HISTORY
    asked = read_history(history) if history.exists() else ()
    async with opened_house(settings, "checker") as house:
        while True:
            await drained(house, settings, 1, lambda *_: None)
            verdict = await reconcile(house, settings, Window(), asked=asked)
            is_fine = all(each.what in expected for each in verdict.differences)
            if (is_fine and not verdict.counts["waiting"]) or time.monotonic() > end:
                return verdict


@contextmanager
def loaded(stack, seed, rate_per_s=RATE_PER_S):
    """Load with a history for as long as the block lasts; what is left of it is not looked at."""
    with History(stack.folder / HISTORY) as history:
        load = Load(stack.url, rate_per_s=rate_per_s, seed=seed, history=history)
        readers = Readers(stack.url, load, seed)
        with _threads(lambda: load.run(3_600), readers.run):
            try:
                yield Ordeal(load, readers)
            finally:
                load.end()
                readers.end()


@contextmanager
def _threads(*works):
    """Run these in threads of their own; what one of them raises is raised at the end."""
    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(asyncio.run, work()) for work in works]
        yield
    for each in running:
        each.result()
