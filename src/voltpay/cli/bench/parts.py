"""Parts by themselves: the ledger's batches, routing's choice, answers out of the cache."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import perf_counter, time_ns
from typing import Final
from uuid import uuid4

import msgspec
from pyreqwest.client import ClientBuilder

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.bench.crowd import closed
from voltpay.cli.bench.requests import Requests
from voltpay.core.ids import PaymentId
from voltpay.core.messages import Attempt, PaymentSettled
from voltpay.core.payment import FINGERPRINT_FIELDS, Fingerprint, Payment
from voltpay.foundation.engines.embedded import EmbeddedEngines
from voltpay.foundation.engines.postgres.pool import Postgres
from voltpay.services.ledger.entries import Entry, entry_of
from voltpay.services.ledger.store import PostgresLedger
from voltpay.services.routing.choose import Gate, Need, Offer, choose

BATCHES: Final = (10, 20, 50, 500, 1_000)
_ACCOUNTS: Final = 10_000
_CLIENTS: Final = 32
_DATABASE: Final = "bench"
_PRINT: Final = Fingerprint(bytes(8 * len(FINGERPRINT_FIELDS)))


@asynccontextmanager
async def scratch(house: House, settings: Settings) -> AsyncIterator[str]:
    """The URL of a migrated database made for this, on the server of the installation."""
    from voltpay.migrations import migrate_up

    url = settings.database_url.get_secret_value()
    admin = house.engines.primary("bench", size_max=1)
    await admin.execute(f"drop database if exists {_DATABASE} with (force)")
    await admin.execute(f"create database {_DATABASE}")
    other = url.replace("/voltpay?", f"/{_DATABASE}?")
    await asyncio.to_thread(migrate_up, other)
    try:
        yield other
    finally:
        await admin.execute(f"drop database if exists {_DATABASE} with (force)")
        await admin.close()


@contextmanager
def database_alone() -> Iterator[str]:
    """The URL of a migrated database on engines of its own: as the bare loop's ledger has it."""
    from voltpay.migrations import migrate_up

    folder = Path(tempfile.mkdtemp(prefix="voltpay-bench-"))
    folder.chmod(0o711)
    engines = EmbeddedEngines(folder / "data")
    try:
        url = engines.start().database
        migrate_up(url)
        yield url
    finally:
        engines.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def ledger_in(url: str) -> AsyncIterator[PostgresLedger]:
    """Books of their own, that know all accounts, as the bare loop's do."""
    ledger = PostgresLedger(
        Postgres(url, name="bench-ledger", size_max=1), Postgres(url, name="bench", size_max=2)
    )
    try:
        await ledger.own(range(4))
        await ledger.prepare_day(datetime.now(UTC).date())
        for start in range(0, _ACCOUNTS, 1_000):
            await ledger.post(_entries(1_000, _ACCOUNTS, start=start))
        yield ledger
    finally:
        await ledger.close()


async def posted_per_s(
    ledger: PostgresLedger, batch: int, seconds: float, *, accounts: int = _ACCOUNTS, fee: int = 0
) -> float:
    """Payments a second of one connection, posted in batches of this size; entries made before.

    Without a fee an entry has two postings, as the bare loop's have; with one it has four.
    """
    total, spent = 0, 0.0
    while spent < seconds:
        entries = _entries(batch, accounts, start=total, fee=fee)
        began = perf_counter()
        await ledger.post(entries)
        spent += perf_counter() - began
        total += batch
    return total / spent


def _entries(count: int, accounts: int, *, start: int = 0, fee: int = 0) -> Sequence[Entry]:
    now_ms = time_ns() // 1_000_000
    made = []
    for number in range(start, start + count):
        account = f"account-{number * 7919 % accounts}"
        payment = Payment(PaymentId(uuid4()), 1990, "EUR", account, "default", now_ms, _PRINT)
        settled = PaymentSettled(
            payment, Attempt(1, "default", now_ms, "cheapest"), True, fee, now_ms
        )
        made.append(entry_of(settled, number % 4))
    return made


def choices_per_s(seconds: float) -> float:
    """Decisions of the pure choice among three offers, each with its explanation."""
    offers = [
        Offer("default", Decimal("0.05"), frozenset({"EUR"}), gate=Gate.OPEN, latency_ms=40),
        Offer("fallback", Decimal("0.15"), frozenset({"EUR"}), latency_ms=20, in_flight=7),
        Offer("third", Decimal("0.20"), frozenset({"EUR", "USD"}), failing=True),
    ]
    need, count, began = Need("EUR"), 0, perf_counter()
    while perf_counter() - began < seconds:
        for _ in range(1_000):
            choose(offers, need, 0, 1_000).explained_json()
        count += 1_000
    return count / (perf_counter() - began)


async def payments_of(url: str, account: str) -> list[str]:
    """The ids of an account's latest payments."""
    async with ClientBuilder().no_proxy().build() as client:
        answer = await client.get(f"{url}/accounts/{account}/transactions").build().send()
        page = msgspec.json.decode(bytes(await answer.bytes()))
        return [str(each["correlationId"]) for each in page["items"]]


async def answers_per_s(url: str, asked: Requests, seconds: float) -> float:
    """Answers of one process a second."""
    burst = await closed(url, asked, clients=_CLIENTS, seconds=seconds)
    return burst.per_s(200)
