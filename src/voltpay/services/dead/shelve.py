"""Shelve dead letters: from the log into the database, payload sealed.

Reads payment.dead · Writes nothing · Needs DeadStore
Repeat safe: a letter is known by where its message stood and which stage buried it
"""

from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client import Counter

from voltpay.core.errors import Broken
from voltpay.core.messages import Message, PaymentDead
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.runtime.stages import Taken
from voltpay.services.dead.letters import message_of, payment_of
from voltpay.services.dead.store import DeadStore

CONTEXT: Final = b"dead"
ROOM: Final = 32
"""How many letters are shelved at once: few are ever there."""

log = structlog.get_logger()
_SHELVED = Counter("voltpay_dead_letters_total", "Dead letters shelved", ["stage"])


class NotDead(Broken):
    """A message of another kind stands where dead letters are read."""


class Shelve:
    """The stage."""

    def __init__(self, store: DeadStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    def room(self) -> int:
        """As many at once as the constant says."""
        return ROOM

    async def __call__(self, one: Taken) -> Sequence[Message]:
        """Keep it. Nothing to publish."""
        dead = one.message
        if not isinstance(dead, PaymentDead):
            raise NotDead(f"{type(dead).__name__} on {one.topic}")
        payment = payment_of(message_of(dead.body))
        payload = self._sealer.seal(dead.body, CONTEXT)
        epoch = None if payment is None else payment.epoch
        if await self._store.insert(dead, payload, epoch):
            _SHELVED.labels(dead.stage).inc()
            log.warning("dead.shelved", stage=dead.stage, payment_id=dead.payment_id)
        return []
