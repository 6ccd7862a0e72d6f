"""`POST /payments`: the hot path, a raw ASGI handler of the same Litestar app."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Final

from litestar import Request, asgi
from litestar.types import ControllerRouterHandler, Receive, Scope, Send
from prometheus_client import Histogram

from voltpay.core.errors import Rejected
from voltpay.core.money import amount_text
from voltpay.core.times import time_text
from voltpay.foundation.runtime.heads import BodyTooSlow
from voltpay.foundation.runtime.http import (
    BadRequest,
    NotAllowed,
    refuse_other_than_json,
    refuse_unknown_query,
)
from voltpay.foundation.runtime.shortcuts import Shortcuts
from voltpay.services.ingest.accept import Accept, Accepted
from voltpay.services.ingest.parse import parse
from voltpay.services.ingest.settings import IngestSettings

_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SHOWN: Final = {b"content-type": "Content-Type", b"idempotency-key": "Idempotency-Key"}
_SECONDS = Histogram(
    "voltpay_accept_seconds",
    "POST /payments, first byte to answer",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)


class BodyTooLarge(Rejected):
    """The body is larger than `ingest.body_bytes_max`."""

    slug = "body-too-large"
    status = 413
    title = "The body is too large"


def handlers(
    accept: Accept, settings: IngestSettings, currency_default: str
) -> list[ControllerRouterHandler]:
    """The handler of `POST /payments`."""
    take = shortcuts(accept, settings, currency_default)["POST", "/payments"]

    @asgi("/payments", copy_scope=False)
    async def post_payment(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "POST":
            raise NotAllowed("POST a payment, or GET /payments/{id}", allow="POST")
        await take(scope, receive, send, "")

    return [post_payment]


def shortcuts(accept: Accept, settings: IngestSettings, currency_default: str) -> Shortcuts:
    """The same past the framework."""

    async def take(scope: Scope, receive: Receive, send: Send, segment: str) -> None:  # noqa: ARG001
        began = perf_counter()
        if scope["query_string"]:
            refuse_unknown_query(Request(scope), frozenset())
        headers = _headers_of(list(scope["headers"]))
        refuse_other_than_json(headers.get(b"content-type", b""))
        body = await _body_of(headers, receive, settings)
        if body is None:
            return
        request = parse(body, _text_of(headers, b"idempotency-key"), currency_default)
        accepted = await accept(request, _traceparent_of(headers))
        await _answer(accepted, send)
        _SECONDS.observe(perf_counter() - began)

    return {("POST", "/payments"): take}


def _headers_of(pairs: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """By name. Raises BadRequest where one that decides what is paid is given twice."""
    headers = dict(pairs)
    if len(headers) < len(pairs):
        names = [name for name, _ in pairs]
        wrong = tuple(_SHOWN[name] for name in _SHOWN if names.count(name) > 1)
        if wrong:
            raise BadRequest("repeated header", fields=wrong)
    return headers


def _text_of(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _traceparent_of(headers: Mapping[bytes, bytes]) -> str:
    value = headers.get(b"traceparent", b"")
    return value.decode() if _TRACEPARENT.fullmatch(value) else ""


async def _body_of(
    headers: Mapping[bytes, bytes], receive: Receive, settings: IngestSettings
) -> bytes | None:
    """The body; None when the client hung up before its end, so that nobody waits any more."""
    limit = settings.body_bytes_max
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:12]) > limit:
        raise BodyTooLarge(f"at most {limit} bytes")
    try:
        async with asyncio.timeout(settings.body_timeout_ms / 1000):
            body = await _read(receive, limit)
    except TimeoutError as error:
        raise BodyTooSlow(f"at most {settings.body_timeout_ms} ms") from error
    if body is not None and len(body) > limit:
        raise BodyTooLarge(f"at most {limit} bytes")
    return body


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The body, or a little more than the limit of it; None when it was broken off."""
    body, is_more = b"", True
    while is_more and len(body) <= limit:
        message: Mapping[str, Any] = dict(await receive())
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        is_more = bool(message.get("more_body"))
    return body


async def _answer(accepted: Accepted, send: Send) -> None:
    request = accepted.request
    name = str(request.id)
    amount = amount_text(request.amount_minor, request.currency.decimals)
    body = (
        f'{{"correlationId":"{name}","status":"queued","amount":{amount},'
        f'"currency":"{request.currency.code}",'
        f'"acceptedAt":"{time_text(accepted.accepted_at_ms)}"}}'
    ).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"location", f"/payments/{name}/status".encode()),
    ]
    if accepted.is_repeat:
        headers.append((b"idempotency-replayed", b"true"))
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
