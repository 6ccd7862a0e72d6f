"""Accepting on a real intake: the stage, its log, and what stands in the stream."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import redis
from msgspec.structs import replace
from tests.runtime.tiny import NAMES, PUBLISH, TinyLog, opened

from voltpay.core.codec import decode
from voltpay.core.ids import PaymentId
from voltpay.core.messages import PaymentAccepted
from voltpay.core.money import CURRENCIES
from voltpay.foundation.engines.redis.intake import RedisIntake
from voltpay.foundation.engines.redis.names import stream_of
from voltpay.foundation.runtime.courtesy import Courtesy
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.seams.intake import Intake
from voltpay.services.ingest.accept import Accept
from voltpay.services.ingest.guard import Guard
from voltpay.services.ingest.parse import Request
from voltpay.services.ingest.settings import IngestSettings

SEALER = Sealer(b"s" * 32)


class SetClock:
    """Stands where a test puts it."""

    def __init__(self) -> None:
        self.at_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        """As set."""
        return self.at_ms

    def monotonic_ms(self) -> int:
        """As set."""
        return self.at_ms


class Desk:
    """Accept with everything round it."""

    def __init__(self, url: str, log: TinyLog, intake: Intake, settings: IngestSettings) -> None:
        self.clock = SetClock()
        self.log = log
        self.courtesy = Courtesy(self.clock)
        self.accept = Accept(
            intake,
            PUBLISH,
            SEALER,
            self.clock,
            settings,
            lambda code: code == "EUR",
            self.courtesy,
        )
        self.guard = Guard(self.accept, intake, self._backlog, settings.backlog_max)
        self._url = url

    async def _backlog(self) -> int:
        return await self.log.backlog(NAMES.accepted, "routing")

    def bodies(self) -> Sequence[bytes]:
        """The raw bytes of every accepted payment on the log."""
        with redis.Redis.from_url(self._url) as client:
            return [fields[b"b"] for _, fields in client.xrange(stream_of(NAMES.accepted))]

    def payments(self) -> Sequence[PaymentAccepted]:
        """The accepted payments on the log."""
        messages = [decode(body) for body in self.bodies()]
        return [message for message in messages if isinstance(message, PaymentAccepted)]


@asynccontextmanager
async def desk_on(
    url: str, *, intake: Intake | None = None, **settings: int
) -> AsyncIterator[Desk]:
    """A desk on a prepared log."""
    async with opened(url) as log:
        real = RedisIntake(url)
        try:
            yield Desk(url, log, intake or real, IngestSettings(**settings))
        finally:
            await real.close()


WHOLE = Request(
    id=PaymentId(uuid4()),
    amount_minor=1990,
    currency=CURRENCIES["EUR"],
    account_id="alice",
    merchant_id="shop",
    description="a very private book",
    email="alice@example.org",
    metadata=b'{"note": "do not tell"}',
)
"""A request with every field."""


def asked(**changes: object) -> Request:
    """A request of its own, with whatever a test says about it."""
    return replace(WHOLE, **({"id": PaymentId(uuid4())} | changes))


def again(request: Request, **changes: object) -> Request:
    """The same id once more."""
    return replace(request, **changes)


def id_of(number: int) -> PaymentId:
    """An id that is known by its number."""
    return PaymentId(UUID(int=number))
