"""Evidence that adds up, made of payments; a test takes it and alters one thing."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from msgspec.structs import replace

from voltpay.services.reconciliation.evidence import (
    Asked,
    AttemptSeen,
    Evidence,
    Execution,
    Posted,
)

ID = UUID("0192f0c1-2a3b-4c5d-8e6f-708192a3b4c5")
AT_MS = 1_700_000_000_123
EUR = 978
WAITING = {"payment.accepted": 0, "payment.settled": 0, "payment.posted": 0}


def posted(**changes: Any) -> Posted:
    """A payment of 19.90 that `default` executed."""
    fields: dict[str, Any] = {
        "processor": "default",
        "amount_minor": 1990,
        "currency": EUR,
        "executed": True,
        "requested_at_ms": AT_MS,
        "fee_minor": 100,
        "sequence": 1,
    }
    return Posted(**(fields | changes))


def attempt(state: str = "executed", **changes: Any) -> AttemptSeen:
    """The attempt of that payment."""
    fields: dict[str, Any] = {
        "processor": "default",
        "state": state,
        "amount_minor": 1990,
        "requested_at_ms": AT_MS,
    }
    return AttemptSeen(**(fields | changes))


EXECUTION = Execution(1990, AT_MS)


def evidence(**changes: Any) -> Evidence:
    """Everything there is to know of the payment ID, completed, and of one more, declined."""
    declined = uuid4()
    no = posted(executed=False, fee_minor=0, sequence=0)
    ledger = {ID: posted(), declined: no}
    fields: dict[str, Any] = {
        "journals": {"default": {ID: [EXECUTION]}, "fallback": {}},
        "attempts": {ID: [attempt()], declined: [attempt("declined")]},
        "ledger": ledger,
        "read_model": dict(ledger),
        "conflicts": frozenset(),
        "dead": {},
        "waiting": WAITING,
        "anomalies": (),
        "asked": [Asked(ID, 1990, "ok"), Asked(declined, 1990, "ok")],
    }
    return Evidence(**(fields | changes))


def without(mapping: Mapping[UUID, Any], payment_id: UUID = ID) -> dict[UUID, Any]:
    """A store that lost the payment."""
    return {key: value for key, value in mapping.items() if key != payment_id}


def altered(one: Evidence, **stores: Mapping[Any, Any] | Sequence[Any]) -> Evidence:
    """The evidence with some rows of its stores put in place of what was there."""
    changes = {
        name: {**getattr(one, name), **rows} if isinstance(rows, Mapping) else rows
        for name, rows in stores.items()
    }
    return replace(one, **changes)
