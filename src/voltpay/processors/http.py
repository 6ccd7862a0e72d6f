"""The adapter for processors that speak the challenge's protocol over HTTP/1.1.

"Nothing was sent" is believed in two cases only, both held by tests against raw sockets: no
connection could be made, or no slot for one came free. The client calls a reset while reading a
ConnectError too, so its class proves nothing; the cause that its connector reports does. On a
pooled connection that broke it repeats a request by itself only if it never began to write it.
"""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    DetailedPyreqwestError,
    PoolTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import RequestBuilder

from voltpay.core.errors import Unavailable
from voltpay.core.money import CURRENCIES
from voltpay.processors.protocol import (
    finding_of,
    health_of,
    outcome_of,
    page_of,
    payment_json,
)
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
from voltpay.processors.slots import WAIT_MAX_MS, Slots

_KEPT_ALIVE: Final = 100
_ANSWER_BYTES_MAX: Final = 65_536
_PAGE_ROWS: Final = 2_000
_PAGE_TIMEOUT_MS: Final = 30_000
_CONNECT_TIMEOUT: Final = timedelta(seconds=2)
_SLOT_TIMEOUT: Final = timedelta(milliseconds=WAIT_MAX_MS)
_IDLE_TIMEOUT: Final = timedelta(seconds=60)
_NOT_CONNECTED: Final = "client error (Connect)"
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_Answer = tuple[int, bytes, str | None]
_ANSWERS = Counter(
    "voltpay_processor_answers", "What calls to processors came to", ["processor", "call", "answer"]
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
        self._url = settings.url + "/payments"
        self._health_url = settings.url + "/payments/service-health"
        self._journal_url = settings.url + "/admin/payments"
        self._calls_max = settings.calls_max
        self._slots = Slots(settings.calls_max)
        self._client: Client | None = None

    async def charge(self, charge: Charge, timeout_ms: int) -> Outcome:
        """POST /payments, once."""
        outcome = await self._charge(charge, timeout_ms)
        self._count("charge", outcome)
        return outcome

    async def _charge(self, charge: Charge, timeout_ms: int) -> Outcome:
        if charge.currency != self._currency.code:
            return NotDone("currency", counts_for_breaker=False)
        body = payment_json(
            charge.payment_id,
            charge.amount_minor,
            self._currency.decimals,
            charge.requested_at_ms,
        )
        request = self._open().post(self._url).body_bytes(body)
        if _TRACEPARENT.fullmatch(charge.traceparent):
            request = request.header("traceparent", charge.traceparent)
        try:
            status, answer, retry_after = await self._ask(request, timeout_ms)
        except PyreqwestError as error:
            return _outcome_of_error(error)
        return outcome_of(status, answer, retry_after, charge, self._currency)

    async def find(self, payment_id: UUID, timeout_ms: int) -> Finding:
        """GET /payments/{id}."""
        finding: Finding
        try:
            status, answer, _ = await self._ask(self._get(f"{self._url}/{payment_id}"), timeout_ms)
            finding = finding_of(status, answer, payment_id, self._currency)
        except PyreqwestError as error:
            finding = Unanswered(_why(error))
        self._count("find", finding)
        return finding

    async def health(self, timeout_ms: int) -> Health | NoHealth:
        """GET /payments/service-health."""
        health: Health | NoHealth
        try:
            health = health_of(*await self._ask(self._get(self._health_url), timeout_ms))
        except PyreqwestError as error:
            health = NoHealth(_why(error))
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
        request = self._get(self._journal_url).query(query).timeout(_timeout(_PAGE_TIMEOUT_MS))
        try:
            answer = await request.build().send()
            body = bytes(await answer.bytes())
        except PyreqwestError as error:
            raise StatementUnavailable(f"{self.name} does not answer: {_why(error)}") from error
        if answer.status != 200:
            raise StatementUnavailable(f"{self.name} answers {answer.status}")
        return body

    async def close(self) -> None:
        """Close all connections; the next call would open new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _ask(self, request: RequestBuilder, timeout_ms: int) -> _Answer:
        """Status, the first 64 KB of the body, Retry-After. An answer cut off is unreadable."""
        left_ms = await self._slots.take(timeout_ms)
        if not left_ms:
            raise PoolTimeoutError("all calls that may be made are under way", {"causes": None})
        try:
            async with request.timeout(_timeout(left_ms)).build_streamed() as answer:
                body = await answer.body_reader.read(_ANSWER_BYTES_MAX)
                return answer.status, bytes(body or b""), answer.get_header("retry-after")
        finally:
            self._slots.give_back()

    def _get(self, url: str) -> RequestBuilder:
        return self._open().get(url)

    def _open(self) -> Client:
        if self._client is None:
            self._client = _client(self._calls_max)
        return self._client

    def _count(self, call: str, answer: object) -> None:
        _counter(self.name, call, type(answer).__name__).inc()


@lru_cache(maxsize=1024)
def _counter(processor: str, call: str, answer: str) -> Counter:
    return _ANSWERS.labels(processor, call, answer.lower())


def _client(calls_max: int) -> Client:
    """A pool. Redirects are off, because 307 and 308 would POST again at another place.

    Its own bound on calls counts those that were cancelled, too, until they time out.
    """
    return (
        ClientBuilder()
        .no_proxy()
        .http1_only()
        .follow_redirects(False)
        .referer(False)
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .max_connections(calls_max)
        .pool_max_idle_per_host(_KEPT_ALIVE)
        .pool_idle_timeout(_IDLE_TIMEOUT)
        .pool_timeout(_SLOT_TIMEOUT)
        .connect_timeout(_CONNECT_TIMEOUT)
        .user_agent("voltpay")
        .default_headers({"content-type": "application/json"})
        .build()
    )


@lru_cache(maxsize=256)
def _timeout(timeout_ms: int) -> timedelta:
    return timedelta(milliseconds=timeout_ms)


def _outcome_of_error(error: PyreqwestError) -> Outcome:
    if isinstance(error, PoolTimeoutError):
        return NotDone("no free connection", counts_for_breaker=False)
    if _never_connected(error):
        return NotDone("no connection", counts_for_breaker=True)
    return Unknown(_why(error))


def _never_connected(error: PyreqwestError) -> bool:
    causes = error.details.get("causes") if isinstance(error, DetailedPyreqwestError) else None
    return any(cause["message"] == _NOT_CONNECTED for cause in causes or ())


def _why(error: PyreqwestError) -> str:
    if isinstance(error, PoolTimeoutError):
        return "no free connection"
    if _never_connected(error):
        return "no connection"
    return "timeout" if isinstance(error, RequestTimeoutError) else "broken connection"
