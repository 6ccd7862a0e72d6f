"""Sets a running sandbox processor from outside, as its operator: for purges, demos and tests."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from voltpay.core.errors import Unavailable
from voltpay.processors.sandbox.admin import FaultCounts, Summary

FIRST_TOKEN: Final = "123"  # noqa: S105 - the challenge's first token, known to everyone
_TIMEOUT: Final = timedelta(seconds=10)


class SandboxUnavailable(Unavailable):
    """A sandbox processor does not answer its operator, or refuses what is asked."""

    slug = "sandbox-away"
    title = "A sandbox processor does not do what its operator asks"


class SandboxControl:
    """An async context manager over one sandbox's `/admin/` calls; each raises SandboxUnavailable.

    `url` is the sandbox's own, without a path.
    """

    def __init__(self, url: str, token: str = FIRST_TOKEN) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._client: Client | None = None

    async def __aenter__(self) -> "SandboxControl":
        self._client = ClientBuilder().no_proxy().timeout(_TIMEOUT).build()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    async def purge(self) -> None:
        """Forget all payments and fault counts. Delay, failure and faults stay as they are set."""
        await self._call("POST", "/admin/purge-payments")

    async def set_delay(self, delay_ms: int) -> None:
        """Let every charge take so long."""
        await self._configure("delay", {"delay": delay_ms})

    async def set_failure(self, failure: bool) -> None:
        """Let every charge fail, or none."""
        await self._configure("failure", {"failure": failure})

    async def set_faults(
        self,
        share: Mapping[str, float],
        *,
        answer_after_insert_ms: int = 1000,
        seed: int | None = None,
    ) -> None:
        """Let these shares of payments meet these faults, and no others."""
        settings = {"share": share, "answer_after_insert_ms": answer_after_insert_ms, "seed": seed}
        await self._configure("faults", settings)

    async def faults(self) -> FaultCounts:
        """The faults as they are set, and how often each was met."""
        return msgspec.json.decode(await self._call("GET", "/admin/faults"), type=FaultCounts)

    async def summary(self) -> Summary:
        """What the sandbox executed in all."""
        body = await self._call("GET", "/admin/payments-summary")
        return msgspec.json.decode(body, type=Summary)

    async def _configure(self, what: str, values: Mapping[str, Any]) -> None:
        await self._call("PUT", f"/admin/configurations/{what}", msgspec.json.encode(values))

    async def _call(self, method: str, path: str, body: bytes = b"") -> bytes:
        assert self._client is not None, "used outside of its context"
        request = self._client.request(method, self._url + path)
        request = request.header("x-rinha-token", self._token).body_bytes(body)
        try:
            answer = await request.build().send()
            content = bytes(await answer.bytes())
        except PyreqwestError as error:
            raise SandboxUnavailable(f"{self._url} does not answer") from error
        if answer.status not in {200, 204}:
            raise SandboxUnavailable(f"{self._url}{path} answers {answer.status}")
        return content
