"""How the sandbox makes a payment: delay, failure flag, duplicate check, fault, insert."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from voltpay.core.money import Currency
from voltpay.processors.protocol import amount_minor_of, payment_json, time_ms_of
from voltpay.processors.sandbox.faults import Fault, FaultPlan
from voltpay.processors.sandbox.journal import Journal, JournalFull
from voltpay.processors.sandbox.replies import RESET, TOO_MANY, Reply, message

AT_ONCE_MAX: Final = 800
WAITING_MAX: Final = 500

_DONE: Final = message("payment processed successfully", 200)
_TAKEN: Final = message("CorrelationId already exists", 422)
_MALFORMED: Final = message("correlationId, amount above 0 and requestedAt are needed", 400)
_FAILING: Final = Reply(500)
_ERROR: Final = message("internal error", 500)
_GARBAGE: Final = Reply(200, b"\x00<html>it works</html")
_DECLINED: Final = Reply(402, b'{"declined":"insufficient_funds"}')


class Asked(Struct, frozen=True, rename="camel"):
    """The body of a charge."""

    correlation_id: UUID
    amount: Decimal
    requested_at: datetime


class Behaviour:
    """What an operator of the sandbox changes while it runs."""

    def __init__(self) -> None:
        self.token = "123"  # noqa: S105 - the challenge's first token, known to everyone
        self.delay_ms = 0
        self.failure = False
        self.faults = FaultPlan()


class Charging:
    """Takes charges: 800 at once, 500 more wait. What has begun ends, whoever hangs up."""

    def __init__(self, journal: Journal, behaviour: Behaviour, currency: Currency) -> None:
        self._journal = journal
        self._behaviour = behaviour
        self._currency = currency
        self._decoder = msgspec.json.Decoder(Asked)
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._running: set[asyncio.Task[Reply]] = set()

    async def charge(self, body: bytes) -> Reply:
        """Make the payment that the body asks for."""
        reply = self.charged_at_once(body)
        if reply is not None:
            return reply
        if len(self._running) >= AT_ONCE_MAX + WAITING_MAX:
            return TOO_MANY
        # A task of its own: a server may cancel the caller when the client goes away.
        task = asyncio.create_task(self._make_slowly(body))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    def charged_at_once(self, body: bytes) -> Reply | None:
        """The same, unless it takes time."""
        if self._behaviour.delay_ms or self._behaviour.faults.makes_late:
            return None
        return self._make(body)[0]

    async def drain(self) -> None:
        """Wait until everything that has begun has ended."""
        while self._running:
            await asyncio.wait(self._running)

    async def _make_slowly(self, body: bytes) -> Reply:
        async with self._slots:
            if self._behaviour.delay_ms:
                await asyncio.sleep(self._behaviour.delay_ms / 1000)
            reply, late_ms = self._make(body)
            if late_ms:
                await asyncio.sleep(late_ms / 1000)
            return reply

    def _make(self, body: bytes) -> tuple[Reply, int]:
        """The answer, and after how many ms it is given. Nothing else runs in between."""
        if self._behaviour.failure:
            return _FAILING, 0
        try:
            asked = self._decoder.decode(body)
        except msgspec.MsgspecError:
            return _MALFORMED, 0
        amount_minor = amount_minor_of(asked.amount, self._currency)
        requested_at_ms = time_ms_of(asked.requested_at)
        if amount_minor is None or requested_at_ms is None:
            return _MALFORMED, 0
        payment_id = asked.correlation_id.bytes
        if payment_id in self._journal:
            return _TAKEN, 0
        fault = self._behaviour.faults.of_payment(payment_id)
        try:
            reply = self._execute(fault, asked.correlation_id, amount_minor, requested_at_ms)
        except JournalFull:
            return _FAILING, 0
        return reply, self._behaviour.faults.answer_after_insert_ms if fault is Fault.LATE else 0

    def _execute(
        self, fault: Fault | None, payment_id: UUID, amount_minor: int, requested_at_ms: int
    ) -> Reply:
        match fault:
            case Fault.DECLINE:
                return _DECLINED
            case Fault.FALSE_DUPLICATE:
                return _TAKEN
            case Fault.RESET_BEFORE_INSERT:
                return RESET
            case Fault.AMOUNT_BOOKED_WRONG | Fault.AMOUNT_BOOKED_WRONG_SILENTLY:
                booked_minor = amount_minor + 1
            case _:
                booked_minor = amount_minor
        self._journal.append(payment_id.bytes, booked_minor, requested_at_ms)
        if fault in {Fault.AMOUNT_ANSWERED_WRONG, Fault.AMOUNT_BOOKED_WRONG}:
            wrong = amount_minor + 1
            decimals = self._currency.decimals
            return Reply(200, payment_json(payment_id, wrong, decimals, requested_at_ms))
        return _AFTER_INSERT.get(fault, _DONE)


_AFTER_INSERT: Final[Mapping[Fault | None, Reply]] = {
    Fault.RESET: RESET,
    Fault.ERROR_AFTER_INSERT: _ERROR,
    Fault.FALSE_NO: _FAILING,
    Fault.GARBAGE: _GARBAGE,
}
