"""What the ledger's tests are made of: settled payments, and books on a real database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from voltpay.core.ids import PaymentId
from voltpay.core.messages import Attempt, PaymentPosted, PaymentSettled
from voltpay.core.payment import Fingerprint, Payment, Sealed
from voltpay.foundation.engines.postgres.pool import Postgres, Row
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.clock import SystemClock
from voltpay.services.ledger.post import Post
from voltpay.services.ledger.store import PostgresLedger

DAY = date(2026, 11, 20)
NOON_MS = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 1000


def settled(
    account: str = "alice",
    amount_minor: int = 1990,
    *,
    payment_id: UUID | None = None,
    fee_minor: int = 100,
    executed: bool = True,
    currency: str = "EUR",
    merchant: str = "shop",
    processor: str = "default",
    requested_at_ms: int = NOON_MS,
    epoch: int = 0,
) -> PaymentSettled:
    """A settled payment; a new one unless `payment_id` is given."""
    payment = Payment(
        id=PaymentId(payment_id or uuid4()),
        amount_minor=amount_minor,
        currency=currency,
        account_id=account,
        merchant_id=merchant,
        accepted_at_ms=requested_at_ms - 5,
        fingerprint=Fingerprint(b"12345678"),
        epoch=epoch,
        details=Sealed(b"sealed"),
    )
    attempt = Attempt(1, processor, requested_at_ms, "cheapest")
    declined = "" if executed else "no funds"
    return PaymentSettled(payment, attempt, executed, fee_minor, requested_at_ms + 30, declined)


def taken(messages: Sequence[PaymentSettled], partition: int = 3, position: int = 1) -> list[Taken]:
    """Messages as the loop hands them to the stage, one position after the other."""
    return [
        Taken(message, "payment.settled", partition, position + i, message.settled_at_ms + 1)
        for i, message in enumerate(messages)
    ]


class Books:
    """The stage with its store, and a look at the tables."""

    def __init__(self, url: str) -> None:
        self.database = Postgres(url, name="test", size_max=2)
        self.store = PostgresLedger(
            Postgres(url, name="test:writer", size_max=1, timeout_ms=5_000),
            Postgres(url, name="test:reader", size_max=2, timeout_ms=30_000),
        )
        self.stage = Post(self.store, SystemClock())

    async def post(
        self, messages: Sequence[PaymentSettled], partition: int = 3, position: int = 1
    ) -> list[PaymentPosted]:
        """What the stage publishes for these, the partition owned."""
        await self.stage.own([partition])
        published = await self.stage(taken(messages, partition, position))
        assert all(isinstance(message, PaymentPosted) for message in published)
        return [message for message in published if isinstance(message, PaymentPosted)]

    async def rows(self, sql: str, *values: object) -> Sequence[Row]:
        """Rows of a question."""
        return await self.database.fetch(sql, *values)

    async def value(self, sql: str, *values: object) -> object:
        """One value of a question."""
        return await self.database.fetch_value(sql, *values)

    async def count(self, table: str) -> object:
        """How many rows a table of the ledger has."""
        return await self.value(f"select count(*) from ledger.{table}")

    async def balances(self) -> dict[str, int]:
        """Amount by account name, over currencies and slots."""
        rows = await self.rows(
            "select a.name, sum(b.amount_minor)::bigint as amount from ledger.balance b"
            " join reference.account a on a.id = b.account_id group by a.name"
        )
        return {row["name"]: row["amount"] for row in rows}

    async def close(self) -> None:
        """Give all connections back."""
        await self.store.close()
        await self.database.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Books]:
    """Books on a migrated database, closed afterwards."""
    books = Books(url)
    try:
        yield books
    finally:
        await books.close()
