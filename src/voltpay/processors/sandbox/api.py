"""The sandbox processor as an ASGI app: the challenge's protocol, and faults beyond it."""

from decimal import Decimal
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from voltpay.core.ids import payment_id_of
from voltpay.core.money import CURRENCIES, Currency
from voltpay.foundation.seams.clock import Chance, Clock
from voltpay.processors.protocol import payment_json
from voltpay.processors.sandbox.admin import Admin
from voltpay.processors.sandbox.charging import Behaviour, Charging
from voltpay.processors.sandbox.health import HealthWindow
from voltpay.processors.sandbox.journal import Journal
from voltpay.processors.sandbox.replies import (
    NOT_FOUND,
    Receive,
    Reply,
    Scope,
    Send,
    json_reply,
    message,
    send_reply,
)

HEALTH_WINDOW_MS: Final = 5_000
BODY_BYTES_MAX: Final = 65_536
_TOO_LARGE: Final = message("the body is larger than 64 KB", 413)
_PAYMENT: Final = "/payments/"
log = structlog.get_logger()


class HealthAnswer(Struct, frozen=True, rename="camel"):
    """How the processor says it is. The fastest answer takes as long as the delay is."""

    failing: bool
    min_response_time: int


def sandbox_app(
    journal_path: Path,
    *,
    name: str,
    fee: Decimal,
    currency: str,
    clock: Clock,
    chance: Chance,
    health_window_ms: int = HEALTH_WINDOW_MS,
) -> "Sandbox":
    """One simulated processor; `fee` is a fraction of the amount. Opens nothing yet."""
    journal, behaviour, money = Journal(journal_path), Behaviour(), CURRENCIES[currency]
    return Sandbox(
        name,
        journal,
        behaviour,
        Charging(journal, behaviour, money),
        HealthWindow(health_window_ms, clock),
        Admin(journal, behaviour, fee, money, chance),
        money,
    )


class Sandbox:
    """The app. It serves between `open` and `close`, or within the server's lifespan."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        behaviour: Behaviour,
        charging: Charging,
        health: HealthWindow,
        admin: Admin,
        currency: Currency,
    ) -> None:
        self.name = name
        self._journal = journal
        self._behaviour = behaviour
        self._charging = charging
        self._health = health
        self._admin = admin
        self._currency = currency
        self._health_answers = 0

    def open(self) -> None:
        """Read the journal back. Raises Misconfigured if it is damaged, or another has it."""
        self._journal.open()
        log.info("sandbox.opened", name=self.name, payments=self._journal.total().count)

    async def close(self) -> None:
        """End the charges that have begun, then give the journal back."""
        await self._charging.drain()
        self._journal.close()

    def charged_at_once(self, body: bytes) -> Reply | None:
        """The answer to `POST /payments` with this body; None if it takes time, or is too large."""
        return None if len(body) > BODY_BYTES_MAX else self._charging.charged_at_once(body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await send_reply(await self._reply(scope, receive), receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self.open()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        path, method = scope["path"], scope["method"]
        body = b"" if method == "GET" else await _body(receive)
        if body is None:
            return _TOO_LARGE
        if path == "/payments" and method == "POST":
            return await self._charging.charge(body)
        if path.startswith("/admin/"):
            return self._admin.reply(method, path, scope["query_string"], _token(scope), body)
        if method != "GET" or not path.startswith(_PAYMENT):
            return NOT_FOUND
        if path == "/payments/service-health":
            return await self._tell_health()
        return self._find(path.removeprefix(_PAYMENT))

    def _find(self, text: str) -> Reply:
        payment_id = payment_id_of(text)
        booked = None if payment_id is None else self._journal.find(payment_id.bytes)
        if booked is None or self._behaviour.faults.hides(booked.payment_id.bytes):
            return NOT_FOUND
        return Reply(
            200,
            payment_json(
                booked.payment_id,
                booked.amount_minor,
                self._currency.decimals,
                booked.requested_at_ms,
            ),
        )

    async def _tell_health(self) -> Reply:
        retry_ms = await self._health.enter()
        if retry_ms:
            seconds = b"%d" % -(-retry_ms // 1000)
            return Reply(429, b"", ((b"retry-after", seconds),))
        self._health_answers += 1
        lies = self._behaviour.faults.lies(self._health_answers)
        failing = self._behaviour.failure is not lies
        return json_reply(HealthAnswer(failing, 0 if lies else self._behaviour.delay_ms))


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is larger than the sandbox takes."""
    event = await receive()
    if not event.get("more_body", False):
        body: bytes = event.get("body", b"")
        return body if len(body) <= BODY_BYTES_MAX else None
    parts = bytearray(event["body"])
    while event.get("more_body", False) and len(parts) <= BODY_BYTES_MAX:
        event = await receive()
        parts += event.get("body", b"")
    return bytes(parts) if len(parts) <= BODY_BYTES_MAX else None


def _token(scope: Scope) -> str:
    return next(
        (value.decode("latin-1") for key, value in scope["headers"] if key == b"x-rinha-token"), ""
    )
