"""What the tests of inquiry stand on: facts, engines, an app."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
from litestar import Litestar, Request, Response

from voltpay.core.ids import PaymentId
from voltpay.core.messages import Attempt, PaymentPosted, PaymentSettled, Standing
from voltpay.core.payment import Fingerprint, Payment
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.redis.cache import RedisCache
from voltpay.foundation.engines.redis.intake import RedisIntake
from voltpay.foundation.engines.redis.log import RedisLog
from voltpay.foundation.runtime.http import json_bytes, problem_of
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.cache import Entry
from voltpay.services.inquiry import wire
from voltpay.services.inquiry.known import Charges, DeadView
from voltpay.services.inquiry.project import Project
from voltpay.services.inquiry.settings import InquirySettings

NOW_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
TABLES = ("payment", "balance", "bucket")


def payment(**other: Any) -> Payment:
    """A payment of 19.90 EUR by account `alice`."""
    made = Payment(
        id=PaymentId(uuid4()),
        amount_minor=1990,
        currency="EUR",
        account_id="alice",
        merchant_id="shop",
        accepted_at_ms=NOW_MS - 100,
        fingerprint=Fingerprint(b"x" * 8),
    )
    return msgspec.structs.replace(made, **other)


def posted(
    *,
    requested_at_ms: int = NOW_MS,
    processor: str = "default",
    executed: bool = True,
    sequence: int = 1,
    partition: int = 0,
    position: int = 1,
    posted_at_ms: int | None = None,
    **other: Any,
) -> PaymentPosted:
    """A posted fact; further arguments are the payment's."""
    settled = PaymentSettled(
        payment=payment(**other),
        attempt=Attempt(1, processor, requested_at_ms, "cheapest"),
        executed=executed,
        fee_minor=100 if executed else 0,
        settled_at_ms=requested_at_ms + 20,
        declined="" if executed else "no funds",
    )
    at_ms = requested_at_ms + 30 if posted_at_ms is None else posted_at_ms
    return PaymentPosted(settled, sequence if executed else 0, at_ms, partition, position)


def id_of(fact: PaymentPosted) -> PaymentId:
    """The payment's id."""
    return fact.settled.payment.id


def taken(facts: Iterable[PaymentPosted]) -> list[Taken]:
    """The facts as a batch of the loop."""
    return [
        Taken(fact, "payment.posted", fact.partition, fact.position, fact.posted_at_ms)
        for fact in facts
    ]


@dataclass
class Stand:
    """Inquiry and the links that a test fills."""

    engines: Engines
    settings: InquirySettings
    ends: dict[int, int] = field(default_factory=dict)
    charges: dict[UUID, Charges] = field(default_factory=dict)
    letters: dict[UUID, Sequence[DeadView]] = field(default_factory=dict)
    away: dict[str, Exception] = field(default_factory=dict)
    still: set[str] = field(default_factory=set)
    inquiry: wire.Inquiry = field(init=False)

    @property
    def project(self) -> Project:
        """The stage."""
        stage = self.inquiry.part.stages["project"]
        assert isinstance(stage, Project)
        return stage

    async def have(self, *facts: PaymentPosted) -> None:
        """Project these."""
        assert await self.project(taken(facts)) == []

    async def note(self, payment_id: UUID, standing: Standing) -> None:
        """Put a status into the cache, as the wrapper round the log does."""
        value = msgspec.msgpack.encode(standing)
        await self.engines.cache.put_if_newer(
            [Entry(f"status:{payment_id}", standing.rank, value, 60_000)]
        )

    async def content(self, tables: Sequence[str] = TABLES) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the read model's tables, in order."""
        database = self.engines.primary("content", size_max=1)
        try:
            return {
                table: sorted(
                    tuple(row) for row in await database.fetch(f"select * from inquiry.{table}")
                )
                for table in tables
            }
        finally:
            await database.close()

    async def execute(self, sql: str) -> None:
        """Run a statement on the database."""
        database = self.engines.primary("execute", size_max=1)
        await database.execute(sql)
        await database.close()

    def app(self) -> Litestar:
        """The handlers behind the exception handler of every role."""
        return Litestar(list(self.inquiry.part.handlers), exception_handlers={Exception: _problem})

    async def ends_of(self) -> Mapping[int, int]:
        """The ends of payment.settled, as the test says."""
        self._raise_for("ends")
        return dict(self.ends)

    async def attempts_of(self, payment_id: PaymentId) -> Charges:
        """What routing would know."""
        self._raise_for("attempts")
        while "attempts" in self.still:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
        return self.charges.get(payment_id, Charges())

    async def dead_of(self, payment_id: PaymentId) -> Sequence[DeadView]:
        """What the dead service would know."""
        self._raise_for("letters")
        return self.letters.get(payment_id, ())

    def _raise_for(self, link: str) -> None:
        if link in self.away:
            raise self.away[link]


def stand_on(engines: Engines, **settings: Any) -> Stand:
    """Inquiry on these engines."""
    stand = Stand(engines, InquirySettings(**settings))
    stand.inquiry = wire.build(
        engines,
        stand.settings,
        processors=["default", "fallback"],
        currency_default="EUR",
        settled_ends=stand.ends_of,
        attempts_of=stand.attempts_of,
        dead_of=stand.dead_of,
    )
    return stand


@asynccontextmanager
async def opened(database_url: str, log_url: str, cache_url: str) -> AsyncIterator[Engines]:
    """Real engines."""
    log = RedisLog(log_url, topics=[], partitions=4, instance="test")
    intake, cache = RedisIntake(log_url), RedisCache(cache_url)
    yield Engines(
        log=log,
        admin=log,
        intake=intake,
        cache=cache,
        database_url=database_url,
        replica_urls=[],
        sealer=Sealer(b"s" * 32),
        instance="test",
    )
    for each in (log, intake, cache):
        await each.close()


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    details, headers = problem_of(error)
    if details.status == 500:
        raise error
    return Response(
        json_bytes(details),
        status_code=details.status,
        headers=headers,
        media_type="application/problem+json",
    )
