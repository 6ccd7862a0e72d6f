"""The summary: equals brute force for every window, and says so when it could not wait."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from tests.inquiry.stand import NOW_MS, Stand, id_of, posted, stand_on
from tests.inquiry.test_project import some_facts

from voltpay.core.errors import Unavailable
from voltpay.core.messages import PaymentPosted
from voltpay.foundation.engines.postgres.replicas import ReplicaBounds
from voltpay.foundation.seams.clock import Clock, SystemClock
from voltpay.services.inquiry.cached import Bound
from voltpay.services.inquiry.cover import Span, cover
from voltpay.services.inquiry.rows import Totals
from voltpay.services.inquiry.store import _TOTALS, Reader
from voltpay.services.inquiry.summary import Summary, Summed
from voltpay.services.inquiry.window import EARLIEST_MS, LATEST_MS, Window

ALL = Window(EARLIEST_MS, LATEST_MS)


class Standing(SystemClock):
    """A clock by which nothing is ever late."""

    def monotonic_ms(self) -> int:
        return 0


def summary_of(
    stand: Stand, *, reader: Reader | None = None, clock: Clock | None = None, **settings: int
) -> Summary:
    """The question, on the stand's links."""
    made = stand_on(stand.engines, **settings).settings
    reader = reader or Reader(stand.engines.replicas("test", ReplicaBounds()))
    clock, names = clock or stand.engines.clock, ["default", "fallback"]
    return Summary(reader, stand.ends_of, clock, Bound(64), made, names)


def brute(facts: list[PaymentPosted], window: Window, currency: str) -> dict[str, tuple[int, int]]:
    found = {"default": (0, 0), "fallback": (0, 0)}
    for fact in facts:
        at_ms, asked = fact.settled.attempt.requested_at_ms, fact.settled.payment
        inside = window.since_ms <= at_ms <= window.until_ms
        if inside and fact.settled.executed and asked.currency == currency:
            count, amount = found[fact.settled.attempt.processor]
            found[fact.settled.attempt.processor] = count + 1, amount + asked.amount_minor
    return found


def as_minor(summed: Summed, decimals: int) -> dict[str, tuple[int, int]]:
    return {
        name: (total.total_requests, int(total.total_amount.scaleb(decimals)))
        for name, total in summed.processors.items()
    }


@pytest.mark.parametrize("seed", [11, 12])
async def test_random_windows_at_the_very_edge_of_payments_equal_brute_force(
    stand: Stand, seed: int
) -> None:
    facts = some_facts(seed, 400)
    await stand.have(*facts)
    summary, chance = summary_of(stand), random.Random(seed)
    for _ in range(150):
        bounds = sorted(
            chance.choice(facts).settled.attempt.requested_at_ms + chance.choice([-1, 0, 1])
            for _ in range(2)
        )
        window = Window(*bounds)
        assert as_minor(await summary(window, "EUR"), 2) == brute(facts, window, "EUR")
        assert as_minor(await summary(window, "JPY"), 0) == brute(facts, window, "JPY")


async def test_every_configured_processor_is_named_also_with_nothing(stand: Stand) -> None:
    summed = await summary_of(stand)(ALL, "EUR")
    assert as_minor(summed, 2) == {"default": (0, 0), "fallback": (0, 0)}
    assert str(summed.processors["default"].total_amount) == "0.00"


async def test_a_processor_that_is_configured_no_more_still_counts(stand: Stand) -> None:
    await stand.have(posted(processor="former"))
    assert as_minor(await summary_of(stand)(ALL, "EUR"), 2)["former"] == (1, 1990)


async def test_it_waits_for_the_projection_to_pass_what_had_settled(stand: Stand) -> None:
    stand.ends = {0: 0, 1: 6}
    asked = asyncio.create_task(summary_of(stand, clock=Standing())(ALL, "EUR"))
    await asyncio.sleep(0.05)
    assert not asked.done()
    await stand.have(posted(partition=1, position=6))
    summed = await asked
    assert summed.is_complete
    assert summed.processors["default"].total_requests == 1


async def test_it_waits_on_the_small_table_and_adds_up_once(stand: Stand) -> None:
    class Counting(Reader):
        asked = 0

        async def totals(self, currency: str, spans: Sequence[Span]) -> Totals:
            self.asked += 1
            return await super().totals(currency, spans)

    stand.ends = {0: 5}
    reader = Counting(stand.engines.replicas("test", ReplicaBounds()))
    summary = summary_of(stand, reader=reader, clock=Standing())
    asked = asyncio.create_task(summary(ALL, "EUR"))
    await asyncio.sleep(0.05)
    await stand.have(posted(position=5))
    assert (await asked).is_complete
    assert reader.asked == 1


async def test_it_says_when_the_projection_did_not_come_in_time(stand: Stand) -> None:
    stand.ends = {1: 6}
    await stand.have(posted(partition=1, position=5))
    summed = await summary_of(stand, summary_wait_max_ms=30)(ALL, "EUR")
    assert not summed.is_complete
    assert summed.processors["default"].total_requests == 1


async def test_a_log_that_is_away_makes_it_incomplete_at_once(stand: Stand) -> None:
    stand.away["ends"] = Unavailable("log")
    summed = await summary_of(stand)(ALL, "EUR")
    assert not summed.is_complete


async def test_callers_at_the_same_time_share_looks_at_log_and_progress(stand: Stand) -> None:
    looks = 0

    async def ends() -> dict[int, int]:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0.01)
        return {}

    reader = Reader(stand.engines.replicas("test", ReplicaBounds()))
    summary = Summary(reader, ends, stand.engines.clock, Bound(64), stand.settings, ["default"])
    await asyncio.gather(*(summary(ALL, "EUR") for _ in range(30)))
    assert looks <= 2


async def test_it_reads_ranges_of_indexes_alone(stand: Stand) -> None:
    await stand.execute(
        "insert into inquiry.payment select gen_random_uuid(), 'a' || n % 50, 'm', 'default', 978, "
        "100, 5, true, '', 1, '', n, t, t, t, t, null from (select n, timestamptz '2026-01-01Z' "
        "+ n * interval '1 second' as t from generate_series(1, 40000) as n) as made"
    )
    await stand.execute(
        "insert into inquiry.bucket select tier, 978, date_bin(width, requested_at, 'epoch'), "
        "processor, 0, count(*), sum(amount_minor) from inquiry.payment cross join (values "
        "(1, interval '1 second'), (2, '1 minute'), (3, '1 hour'), (4, '1 day')) as t(tier, width) "
        "group by 1, 3, 4"
    )
    await stand.execute("analyze inquiry.payment, inquiry.bucket")
    spans = cover(Window(NOW_MS + 1_500, NOW_MS + 30_000_123))
    database = stand.engines.replicas("plan", ReplicaBounds())
    rows = await database.fetch(
        f"explain {_TOTALS}",
        978,
        [span.tier for span in spans],
        [span.since_ms for span in spans],
        [span.until_ms for span in spans],
    )
    await database.close()
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan on payment" not in plan, plan
    assert "Seq Scan on bucket" not in plan, plan


async def test_a_payment_counts_at_the_time_of_its_attempt(stand: Stand) -> None:
    fact = posted(requested_at_ms=NOW_MS + 999)
    await stand.have(fact)
    summary = summary_of(stand)
    for first, last, count in ((999, 999, 1), (0, 998, 0), (1000, 5000, 0), (0, 999, 1)):
        summed = await summary(Window(NOW_MS + first, NOW_MS + last), "EUR")
        assert summed.processors["default"].total_requests == count, id_of(fact)
