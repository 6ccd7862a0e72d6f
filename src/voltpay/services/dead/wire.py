"""Put dead letters together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.postgres.pool import Session
from voltpay.foundation.runtime.parts import Part
from voltpay.services.dead import api, store
from voltpay.services.dead.letters import LetterAnswer
from voltpay.services.dead.replay import Desk, HasOpenAttempt
from voltpay.services.dead.shelve import Shelve
from voltpay.services.dead.store import DeadStore


@dataclass(frozen=True)
class Dead:
    """Dead letters: stage `shelve`, the handlers, and what others are given.

    `desk` lists, shows, replays and discards for the command line; `dead_of` gives a payment's
    letters, newest first; `purge` drops all within a transaction that has raised the epoch.
    """

    part: Part
    desk: Desk
    dead_of: Callable[[UUID], Awaitable[Sequence[LetterAnswer]]]
    purge: Callable[[Session], Awaitable[None]]


def build(engines: Engines, *, has_open_attempt: HasOpenAttempt) -> Dead:
    """Dead letters on these engines."""
    database = engines.primary("dead", size_max=2)
    letters = DeadStore(database)
    desk = Desk(letters, engines.log, engines.cache, engines.sealer, has_open_attempt)
    part = Part(
        stages={"shelve": Shelve(letters, engines.sealer)},
        handlers=api.handlers(desk),
        close=database.close,
    )
    return Dead(part, desk, desk.of_payment, store.purge)
