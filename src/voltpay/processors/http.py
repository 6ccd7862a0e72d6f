"""The adapter for processors that speak the challenge's protocol over HTTP/1.1."""

import re
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from prometheus_client import Counter

from voltpay.core.errors import Unavailable
from voltpay.core.money import CURRENCIES
from voltpay.processors.answers import finding_of, health_of, outcome_of, page_of
from voltpay.processors.pool import NO_CONNECTION, Failure, Pool
from voltpay.processors.protocol import payment_json
from voltpay.processors.seam import (
    Booked,
    Charge,
    Finding,
    Health,
    NoHealth,
    NotDone,
    Outcome,
    Unanswered,
    Unknown,
)
from voltpay.processors.settings import ProcessorSettings

_ANSWER_BYTES_MAX: Final = 65_536
_PAGE_ROWS: Final = 2_000
_PAGE_BYTES_MAX: Final = 1_048_576
_PAGE_TIMEOUT_MS: Final = 30_000
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_ANSWERS = Counter(
    "voltpay_processor_answers",
    "What questions to processors came to",
    ["processor", "call", "answer"],
)


class StatementUnavailable(Unavailable):
    """A processor's own journal cannot be read to its end just now."""

    title = "A processor's journal cannot be read"


class HttpProcessor:
    """A processor behind a URL. Connects at the first call, within that call's event loop."""

    def __init__(self, settings: ProcessorSettings) -> None:
        self.name = settings.name
        self.currencies = frozenset({settings.currency})
        self._currency = CURRENCIES[settings.currency]
        self._pool = Pool(settings.url, settings.calls_max)

    async def charge(self, charge: Charge, timeout_ms: int) -> Outcome:
        """POST /payments, once. Counted by whoever charges."""
        if charge.currency != self._currency.code:
            return NotDone("currency", counts_for_breaker=False)
        body = payment_json(
            charge.payment_id,
            charge.amount_minor,
            self._currency.decimals,
            charge.requested_at_ms,
        )
        trace = charge.traceparent
        if trace and not _TRACEPARENT.fullmatch(trace):
            trace = ""
        request = self._pool.post("/payments", body, trace)
        answer = await self._pool.ask(request, timeout_ms, _ANSWER_BYTES_MAX)
        match answer:
            case Failure(why=why, was_sent=True):
                return Unknown(why)
            case Failure(why=why):
                return NotDone(why, counts_for_breaker=why == NO_CONNECTION)
        return outcome_of(answer.status, answer.body, answer.retry_after, charge, self._currency)

    async def find(self, payment_id: UUID, timeout_ms: int) -> Finding:
        """GET /payments/{id}."""
        request = self._pool.get(f"/payments/{payment_id}")
        answer = await self._pool.ask(request, timeout_ms, _ANSWER_BYTES_MAX)
        finding = (
            Unanswered(answer.why)
            if isinstance(answer, Failure)
            else finding_of(answer.status, answer.body, payment_id, self._currency)
        )
        self._count("find", finding)
        return finding

    async def health(self, timeout_ms: int) -> Health | NoHealth:
        """GET /payments/service-health."""
        request = self._pool.get("/payments/service-health")
        answer = await self._pool.ask(request, timeout_ms, _ANSWER_BYTES_MAX)
        health = (
            NoHealth(answer.why)
            if isinstance(answer, Failure)
            else health_of(answer.status, answer.body, answer.retry_after)
        )
        self._count("health", health)
        return health

    async def statement(
        self, from_ms: int | None = None, to_ms: int | None = None
    ) -> AsyncIterator[Sequence[Booked]]:
        """GET /admin/payments, page by page. Raises StatementUnavailable."""
        after: int | None = 0
        bounds = {"from": from_ms, "to": to_ms}
        query = {name: str(bound) for name, bound in bounds.items() if bound is not None}
        while after is not None:
            asked = query | {"after": str(after), "limit": str(_PAGE_ROWS)}
            page = page_of(await self._read_page(asked), self._currency)
            if page is None or (page.next_after is not None and page.next_after <= after):
                raise StatementUnavailable(f"{self.name} answers something that is no journal")
            yield page.items
            after = page.next_after

    async def _read_page(self, query: dict[str, str]) -> bytes:
        request = self._pool.get(f"/admin/payments?{urlencode(query)}")
        answer = await self._pool.ask(request, _PAGE_TIMEOUT_MS, _PAGE_BYTES_MAX)
        if isinstance(answer, Failure):
            raise StatementUnavailable(f"{self.name} does not answer: {answer.why}")
        if answer.status != 200:
            raise StatementUnavailable(f"{self.name} answers {answer.status}")
        return answer.body

    async def close(self) -> None:
        """Close all connections; the next call would open new ones."""
        await self._pool.close()

    def _count(self, call: str, answer: object) -> None:
        _counter(self.name, call, type(answer).__name__).inc()


@lru_cache(maxsize=1024)
def _counter(processor: str, call: str, answer: str) -> Counter:
    return _ANSWERS.labels(processor, call, answer.lower())
