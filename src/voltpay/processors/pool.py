"""Persistent connections to one processor, bounded, and what a failed call proves.

"Nothing was sent" is believed in two cases only, both held by tests against raw sockets: no
connection could be made, or no slot for one came free. The client calls a reset while reading a
ConnectError too, so its class proves nothing; the cause that its connector reports does. On a
pooled connection that broke it repeats a request by itself only if it never began to write it.
"""

from datetime import timedelta
from functools import lru_cache
from typing import Final

from msgspec import Struct
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    DetailedPyreqwestError,
    PoolTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import RequestBuilder
from pyreqwest.response import Response

from voltpay.processors.slots import WAIT_MAX_MS, Slots

NO_SLOT: Final = "no free connection"
NO_CONNECTION: Final = "no connection"
_KEPT_ALIVE: Final = 100
_CONNECT_TIMEOUT: Final = timedelta(seconds=2)
_IDLE_TIMEOUT: Final = timedelta(seconds=60)
_NOT_CONNECTED: Final = "client error (Connect)"


class Answer(Struct, frozen=True):
    """An answer; a body beyond the limit is cut off. Retry-After only where the status is 429."""

    status: int
    body: bytes
    retry_after: str | None


class Failure(Struct, frozen=True):
    """No answer. `was_sent` is false only where it is proven that no byte of the request was."""

    why: str
    was_sent: bool


class Pool:
    """At most `calls_max` calls at once. Connects at the first one, within that call's loop."""

    def __init__(self, calls_max: int) -> None:
        self._calls_max = calls_max
        self._slots = Slots(calls_max)
        self._client: Client | None = None

    def get(self, url: str) -> RequestBuilder:
        """A GET to be asked."""
        return self._open().get(url)

    def post(self, url: str, body: bytes) -> RequestBuilder:
        """A POST to be asked."""
        return self._open().post(url).body_bytes(body)

    async def ask(
        self, request: RequestBuilder, timeout_ms: int, bytes_max: int
    ) -> Answer | Failure:
        """Send it once; an answer, or why there is none, within `timeout_ms`."""
        left_ms = await self._slots.take(timeout_ms)
        if not left_ms:
            return Failure(NO_SLOT, was_sent=False)
        try:
            async with request.timeout(_timeout(left_ms)).build_streamed() as response:
                body = await response.body_reader.read(bytes_max)
                return Answer(response.status, bytes(body or b""), _retry_after(response))
        except PyreqwestError as error:
            return _failure_of(error)
        finally:
            self._slots.give_back()

    async def close(self) -> None:
        """Close all connections; the next call would open new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _open(self) -> Client:
        if self._client is None:
            self._client = _client(self._calls_max)
        return self._client


def _client(calls_max: int) -> Client:
    """Redirects are off, because 307 and 308 would POST again at another place.

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
        .pool_timeout(_timeout(WAIT_MAX_MS))
        .connect_timeout(_CONNECT_TIMEOUT)
        .user_agent("voltpay")
        .default_headers({"content-type": "application/json"})
        .build()
    )


@lru_cache(maxsize=256)
def _timeout(timeout_ms: int) -> timedelta:
    return timedelta(milliseconds=timeout_ms)


def _retry_after(response: Response) -> str | None:
    try:
        return response.get_header("retry-after") if response.status == 429 else None
    except ValueError:
        return None


def _failure_of(error: PyreqwestError) -> Failure:
    if isinstance(error, PoolTimeoutError):
        return Failure(NO_SLOT, was_sent=False)
    if _never_connected(error):
        return Failure(NO_CONNECTION, was_sent=False)
    timed_out = isinstance(error, RequestTimeoutError)
    return Failure("timeout" if timed_out else "broken connection", was_sent=True)


def _never_connected(error: PyreqwestError) -> bool:
    causes = error.details.get("causes") if isinstance(error, DetailedPyreqwestError) else None
    return any(cause["message"] == _NOT_CONNECTED for cause in causes or ())
