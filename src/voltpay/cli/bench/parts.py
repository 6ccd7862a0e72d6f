"""Parts by themselves: the ledger's batches, routing's choice, answers out of the cache."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import repeat
from time import perf_counter
from typing import Final
from uuid import uuid4

import msgspec
from pyreqwest.client import ClientBuilder

from voltpay.app.house import House
from voltpay.app.settings import Settings
from voltpay.cli.bench.crowd import closed
from voltpay.cli.bench.requests import get
from voltpay.core.ids import PaymentId
from voltpay.core.messages import Attempt, PaymentSettled
from voltpay.core.payment import FINGERPRINT_FIELDS, Fingerprint, Payment
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
async def empty_ledger(house: House, settings: Settings) -> AsyncIterator[PostgresLedger]:
    """Books of their own, in a database made for them: those of the installation rest."""
    from voltpay.migrations import migrate_up

    url = settings.database_url.get_secret_value()
    admin = house.engines.primary("bench", size_max=1)
    await admin.execute(f"drop database if exists {_DATABASE} with (force)")
    await admin.execute(f"create database {_DATABASE}")
    other = url.replace("/voltpay?", f"/{_DATABASE}?")
    await asyncio.to_thread(migrate_up, other)
    ledger = PostgresLedger(
        Postgres(other, name="bench-ledger", size_max=1), Postgres(other, name="bench", size_max=2)
    )
    try:
        await ledger.own(range(4))
        yield ledger
    finally:
        await ledger.close()
        await admin.execute(f"drop database if exists {_DATABASE} with (force)")
        await admin.close()


async def posted_per_s(
    ledger: PostgresLedger, batch: int, seconds: float, *, accounts: int = _ACCOUNTS
) -> float:
    """Payments a second of one connection, posted in batches of this size; entries made before."""
    total, spent = 0, 0.0
    while spent < seconds:
        entries = _entries(batch, accounts)
        began = perf_counter()
        await ledger.post(entries)
        spent += perf_counter() - began
        total += batch
    return total / spent


def _entries(count: int, accounts: int) -> Sequence[Entry]:
    now_ms = 1_700_000_000_000
    made = []
    for number in range(count):
        account = f"account-{number * 7919 % accounts}"
        payment = Payment(PaymentId(uuid4()), 1990, "EUR", account, "default", now_ms, _PRINT)
        settled = PaymentSettled(
            payment,
            Attempt(1, "default", now_ms, "cheapest"),
            True,
            int(__import__("os").environ.get("FEE", "100")),
            now_ms,
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


async def a_payment_of(url: str, account: str) -> str:
    """The id of a payment of an account."""
    async with ClientBuilder().no_proxy().build() as client:
        answer = await client.get(f"{url}/accounts/{account}/transactions").build().send()
        page = msgspec.json.decode(bytes(await answer.bytes()))
        return str(page["items"][0]["correlationId"])


async def answers_per_s(url: str, path: str, seconds: float) -> float:
    """Cached answers of one process a second."""
    burst = await closed(url, repeat(get(url, path)), clients=_CLIENTS, seconds=seconds)
    return burst.per_s(200)
