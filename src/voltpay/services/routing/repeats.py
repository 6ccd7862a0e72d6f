"""A payment that has an attempt already: charge nothing, and say again what is known."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from prometheus_client import Counter

from voltpay.core.ids import PaymentId
from voltpay.core.messages import Message, PaymentDeferred
from voltpay.core.payment import FINGERPRINT_FIELDS, Payment
from voltpay.foundation.runtime.sealing import fields_that_differ
from voltpay.services.routing.attempts import AttemptRow, AttemptState, Standing, settled_of

_DEFERRED = Counter("voltpay_routing_deferred", "Payments put off, by reason", ["reason"])
_CONFLICTS = Counter("voltpay_routing_conflicts", "Other payments under an id that is taken")
_STANDING = Counter(
    "voltpay_routing_standing", "Payments that had an attempt already, by its state", ["state"]
)


class RepeatStore(Protocol):
    """What is asked of the store for a payment that came before."""

    async def take_over(self, row: AttemptRow) -> bool:
        """Make an attempt whose sender's lease ran out unknown; False if somebody was faster."""
        ...

    async def note_conflict(self, payment: Payment, fields: Sequence[str]) -> None:
        """Keep a payment that came under an id that another one holds."""
        ...


OnConflict = Callable[[PaymentId], Awaitable[None]]
"""Told that another payment came under this id."""


class Repeats:
    """Answers a payment by the attempts that stand. `on_conflict` hears of one after it is kept."""

    def __init__(self, store: RepeatStore, on_conflict: OnConflict) -> None:
        self._store = store
        self._on_conflict = on_conflict

    async def __call__(self, payment: Payment, standing: Standing, times: int) -> Sequence[Message]:
        """The settled message again, or the payment put off; nothing if a row has its custody."""
        if not standing.rows:
            return ()
        last = standing.rows[-1]
        _STANDING.labels(last.state.value).inc()
        differ = _differing(payment, standing.rows[0])
        if differ:
            _CONFLICTS.inc()
            await self._store.note_conflict(payment, differ)
            await self._on_conflict(payment.id)
            return ()
        if last.state is AttemptState.ABSENT:
            return put_off(payment, "another attempt was faster", times, "leased")
        if last.state is AttemptState.SENDING:
            # Its sender may yet say "absent" and pass the payment on by the message at hand.
            if not last.leased and await self._store.take_over(last):
                return ()
            return put_off(payment, "is being sent", times, "leased")
        return settled_again(last)


def put_off(payment: Payment, reason: str, times: int, label: str) -> Sequence[Message]:
    """Not sent, not now; `label` is the reason in few distinct values."""
    _DEFERRED.labels(label).inc()
    return (PaymentDeferred(payment, reason, times + 1),)


def settled_again(row: AttemptRow) -> Sequence[Message]:
    """The message of a settled attempt; none of any other."""
    settled = row.state in {AttemptState.EXECUTED, AttemptState.DECLINED}
    return (settled_of(row),) if settled else ()


def may_open_next(payment: Payment, standing: Standing) -> bool:
    """Whether all attempts of this very payment are absent."""
    rows = standing.rows
    return bool(
        rows
        and rows[-1].state is AttemptState.ABSENT
        and rows[0].payment.fingerprint == payment.fingerprint
    )


def _differing(payment: Payment, row: AttemptRow) -> Sequence[str]:
    if row.payment.fingerprint == payment.fingerprint:
        return ()
    differ = fields_that_differ(row.payment.fingerprint, payment.fingerprint, FINGERPRINT_FIELDS)
    return differ or ("fingerprint",)
