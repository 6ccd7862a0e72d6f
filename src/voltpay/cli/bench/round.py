"""One round: an installation of its own, everything measured on it once, beside its bare loop."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Final

import uvloop

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.bench import machine, parts, whole
from voltpay.cli.bench.crowd import Burst, opened
from voltpay.cli.bench.fresh import freshness
from voltpay.cli.bench.installed import Installed, installed
from voltpay.cli.bench.moments import steady
from voltpay.cli.bench.requests import accounts_paid, get, payments
from voltpay.cli.bench.wanted import ON_KAFKA
from voltpay.cli.installation import opened_house

Values = defaultdict[str, list[float]]
Say = Callable[[str], None]

_OFFERED_PER_S: Final = 2_000
_ACCOUNTS_ASKED: Final = 64
_WARM_S: Final = 0.3


def measure(
    values: Values, seconds: float, backlog: int, kafka: str | None, say: Say
) -> Mapping[str, str]:
    """Measure a round; gives what the engines say of their durability."""
    say("start an installation")
    with installed() as made:
        memory = machine.memory_mib(made.folder)
        if memory is not None:
            values["memory, idle"].append(memory)
        durability = uvloop.run(_all(values, made, seconds, backlog, say))
    if kafka is not None:
        say("start an installation on Kafka")
        with installed(kafka=kafka) as made:
            durability |= uvloop.run(_on_kafka(values, made, seconds, backlog, say))
    say("the ledger alone, on engines that do nothing else")
    with parts.database_alone() as database:
        uvloop.run(_ledger(values, database, seconds / 4))
    say("start cold, then warm")
    for name, took_s in zip(("start, cold", "start, warm"), machine.starts_s(), strict=True):
        values[name].append(took_s)
    return durability


async def _all(
    values: Values, made: Installed, seconds: float, backlog: int, say: Say
) -> dict[str, str]:
    async with opened_house(made.settings, "bench") as house:
        await _payments(values, house, made, seconds, backlog, say)
        say("answers")
        await _answers(values, made.url, seconds / 4)
        values["choices, explained"].append(parts.choices_per_s(seconds / 4))
        return await durability_of(house)


async def _on_kafka(
    values: Values, made: Installed, seconds: float, backlog: int, say: Say
) -> dict[str, str]:
    there: Values = defaultdict(list)
    async with opened_house(made.settings, "bench") as house:
        await _payments(there, house, made, seconds, backlog, lambda what: say(ON_KAFKA + what))
        durability = await house.engines.admin.durability()
    for name, measured in there.items():
        values[ON_KAFKA + name] += measured
    return {ON_KAFKA + name: value for name, value in durability.items()}


async def _payments(
    values: Values, house: House, made: Installed, seconds: float, backlog: int, say: Say
) -> None:
    settings, url = made.settings, made.url
    say("accept alone, while both processors fail")
    await _accept(values, settings, url, seconds)
    say(f"a backlog of {backlog:,}" if backlog else "the backlog of it")
    waiting = await whole.filled(house, settings, url, backlog)
    drained = await whole.drained(house, settings, waiting)
    values["drain"].append(drained.per_s)
    for kind, micros in drained.micros.items():
        values[f"CPU of a payment in the drain: {kind}"].append(micros)
    values["outage noticed to be over"].append(drained.noticed_s)
    say("all at work")
    await _whole(values, house, settings, url, seconds)


async def _accept(values: Values, settings: Settings, url: str, seconds: float) -> None:
    for clients in (32, 256):
        burst = await whole.accepted(settings, url, clients, seconds)
        values[f"accept, {clients} clients"].append(burst.per_s(202))
    burst = await opened(url, payments(url), steady(_OFFERED_PER_S, seconds))
    _note(values, "accept at 2,000/s", burst)


def _note(values: Values, name: str, burst: Burst) -> None:
    for share, told in ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")):
        values[f"{name}, {told}"].append(burst.percentile_ms(share))


async def _whole(
    values: Values, house: House, settings: Settings, url: str, seconds: float
) -> None:
    made = await whole.all_at_once(house, settings, url, seconds)
    values["whole, to posted"].append(made.posted_per_s)
    values["whole, to read model"].append(made.read_model_per_s)
    burst = await opened(url, payments(url), steady(_OFFERED_PER_S, seconds))
    _note(values, "accept at 2,000/s, all at work", burst)
    await whole.settle(house, settings)
    for name, p99_ms in (await freshness(url, seconds)).items():
        values[f"fresh at 1,000/s: {name}, p99"].append(p99_ms)
    await whole.settle(house, settings)


async def _answers(values: Values, url: str, seconds: float) -> None:
    accounts = accounts_paid(_ACCOUNTS_ASKED)
    ids = await asyncio.gather(*(parts.payments_of(url, account) for account in accounts))
    paths = {
        "status": [f"/payments/{each}/status" for some in ids for each in some],
        "balance": [f"/accounts/{account}/balance" for account in accounts],
        "transactions": [f"/accounts/{account}/transactions" for account in accounts],
    }
    for name, some in paths.items():
        for past_cache, how in ((False, "cached"), (True, "past the cache")):
            asked = [get(url, path, past_cache=past_cache) for path in some]
            await parts.answers_per_s(url, cycle(asked), _WARM_S)
            per_s = await parts.answers_per_s(url, cycle(asked), seconds)
            values[f"{name}, {how}"].append(per_s)


async def _ledger(values: Values, database: str, seconds: float) -> None:
    async with parts.ledger_in(database) as ledger:
        for batch in parts.BATCHES:
            name = f"ledger, batches of {batch:,}"
            values[name].append(await parts.posted_per_s(ledger, batch, seconds))
        hot = await parts.posted_per_s(ledger, 1_000, seconds, accounts=1)
        values["ledger, one hot account"].append(hot)
        four = await parts.posted_per_s(ledger, 1_000, seconds, fee=100)
        values["ledger, with a fee: four postings"].append(four)


async def durability_of(house: House) -> dict[str, str]:
    """What the engines themselves say of their settings."""
    database = house.engines.primary("bench", size_max=1)
    try:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        told = {name: str(await database.fetch_value(f"show {name}")) for name in names}
    finally:
        await database.close()
    return told | dict(await house.engines.admin.durability())
