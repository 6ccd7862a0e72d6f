"""Accept a payment: seal, claim the id and append, in one durable step shared by many requests.

Writes payment.accepted · Needs Intake
Repeat safe: an id is claimed once; a repeat gets what stands there, or ConflictingRepeat
"""

import json
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct
from prometheus_client import Counter, Histogram

from voltpay.core.errors import Rejected, Unavailable
from voltpay.core.messages import PaymentAccepted
from voltpay.core.payment import FINGERPRINT_FIELDS, Fingerprint, Payment, Sealed
from voltpay.foundation.runtime.courtesy import Courtesy, Usual
from voltpay.foundation.runtime.failpoints import reach
from voltpay.foundation.runtime.group_commit import GroupCommit
from voltpay.foundation.runtime.sealing import Sealer, fields_that_differ
from voltpay.foundation.runtime.stages import Publisher
from voltpay.foundation.seams.clock import Clock
from voltpay.foundation.seams.intake import Claim, Claimed, Intake, StaleEpoch
from voltpay.services.ingest.parse import Invalid, Request
from voltpay.services.ingest.settings import IngestSettings

MERCHANT_DEFAULT: Final = "default"
_PACE_S: Final = 0.001
_PACED_FROM: Final = 4
"""Appends of that many are a millisecond apart: of 32 clients at once a sixth more is accepted."""
_LATE_MS: Final = 3
"""An append that takes so much longer than usual waits for a core: others should hold back."""

log = structlog.get_logger()
_GROUP_SIZE = Histogram(
    "voltpay_accept_group_size",
    "Payments of one append",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
_ACCEPTED = Counter("voltpay_accepted_total", "Payments promised", ["repeat"])
_REFUSED = Counter("voltpay_accept_refused_total", "Payments refused for load", ["why"])


class ConflictingRepeat(Rejected):
    """The same id came before with another payment; `fields` names what differs."""

    slug = "conflicting-repeat"
    status = 422
    title = "The same correlationId was accepted before with another payment"


class Overloaded(Unavailable):
    """More waits than the bounds allow: nothing was stored, try again later."""

    slug = "overloaded"
    title = "Too much is waiting"


class Accepted(Struct, frozen=True):
    """A promise: the payment is on disk, since `accepted_at_ms`; `is_repeat` if it already was."""

    request: Request
    accepted_at_ms: int
    is_repeat: bool


class _Wish(Struct, frozen=True):
    request: Request
    fingerprint: Fingerprint
    details: Sealed | None
    traceparent: str


class Accept:
    """Makes promises. `takes` says whether any processor takes a currency."""

    def __init__(
        self,
        intake: Intake,
        publish: Publisher,
        sealer: Sealer,
        clock: Clock,
        settings: IngestSettings,
        takes: Callable[[str], bool],
        courtesy: Courtesy,
    ) -> None:
        self.is_overloaded = False
        self._intake = intake
        self._publish = publish
        self._sealer = sealer
        self._clock = clock
        self._takes = takes
        self._courtesy = courtesy
        self._usual = Usual(clock)
        self._epoch: int | None = None
        self._claimed = GroupCommit(
            self._commit,
            group_max=settings.group_max,
            waiting_max=settings.waiting_max,
            pace_s=_PACE_S,
            paced_from=_PACED_FROM,
        )

    async def __call__(self, request: Request, traceparent: str) -> Accepted:
        """Promise the payment. Raises ConflictingRepeat, Invalid, or Unavailable."""
        if self.is_overloaded:
            _REFUSED.labels("backlog").inc()
            raise Overloaded("the backlog or the log's memory is at its bound", retry_after_s=2)
        if not self._takes(request.currency.code):
            raise Invalid(f"no processor takes {request.currency.code}", fields=("currency",))
        fingerprint = self._sealer.fingerprint(_plain_fields(request))
        wish = _Wish(request, fingerprint, self._sealed(request), traceparent)
        accepted_at_ms, standing = await self._claimed(wish)
        if standing is None:
            _ACCEPTED.labels("no").inc()
            return Accepted(request, accepted_at_ms, is_repeat=False)
        differ = fields_that_differ(fingerprint, standing.fingerprint, FINGERPRINT_FIELDS)
        if differ:
            raise ConflictingRepeat(
                f"it differs in {', '.join(differ)}; use a new correlationId for a new payment",
                fields=tuple(differ),
            )
        _ACCEPTED.labels("yes").inc()
        return Accepted(request, standing.accepted_at_ms, is_repeat=True)

    def _sealed(self, request: Request) -> Sealed | None:
        if not (request.description or request.email or request.metadata):
            return None
        details: dict[str, object] = {}
        if request.description:
            details["description"] = request.description
        if request.email:
            details["email"] = request.email
        if request.metadata:
            details["metadata"] = json.loads(request.metadata)
        plain = json.dumps(details, ensure_ascii=False).encode()
        return self._sealer.seal(plain, request.id.bytes)

    async def _commit(self, wishes: Sequence[_Wish]) -> Sequence[tuple[int, Claimed | None]]:
        _GROUP_SIZE.observe(len(wishes))
        if self._epoch is None:
            self._epoch = await self._intake.epoch()
        now_ms, began_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        reach("accept.before_append")
        try:
            standing = await self._intake.accept(self._claims(wishes, now_ms), self._epoch)
        except StaleEpoch:
            self._epoch = await self._intake.epoch()
            standing = await self._intake.accept(self._claims(wishes, now_ms), self._epoch)
        reach("accept.after_append")
        if self._usual.is_exceeded(self._clock.monotonic_ms() - began_ms, _LATE_MS):
            self._courtesy.ask()
        return [(now_ms, found) for found in standing]

    def _claims(self, wishes: Sequence[_Wish], now_ms: int) -> Sequence[Claim]:
        messages = [PaymentAccepted(self._payment(wish, now_ms)) for wish in wishes]
        return [
            Claim(wish.request.id, wish.fingerprint, now_ms, record)
            for wish, record in zip(wishes, self._publish(messages), strict=True)
        ]

    def _payment(self, wish: _Wish, now_ms: int) -> Payment:
        request = wish.request
        return Payment(
            id=request.id,
            amount_minor=request.amount_minor,
            currency=request.currency.code,
            account_id=request.account_id,
            merchant_id=request.merchant_id or MERCHANT_DEFAULT,
            accepted_at_ms=now_ms,
            fingerprint=wish.fingerprint,
            epoch=self._epoch or 0,
            details=wish.details,
            traceparent=wish.traceparent,
        )


def _plain_fields(request: Request) -> Sequence[bytes]:
    return (
        b"%d" % request.amount_minor,
        request.currency.code.encode(),
        request.account_id.encode(),
        request.merchant_id.encode(),
        request.description.encode(),
        request.email.encode(),
        request.metadata,
    )
