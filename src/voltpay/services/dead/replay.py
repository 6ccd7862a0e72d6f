"""What a person does with a dead letter: list, show, replay, discard."""

import base64
import binascii
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from voltpay.core.errors import Rejected, Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.messages import Standing
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.seams.cache import Cache
from voltpay.foundation.seams.log import Log, Record
from voltpay.services.dead import store as sql
from voltpay.services.dead.letters import (
    Letter,
    LetterAnswer,
    Letters,
    LetterShown,
    answer_of,
    message_of,
    shown,
)
from voltpay.services.dead.shelve import CONTEXT
from voltpay.services.dead.store import DeadStore

LIMIT_DEFAULT: Final = 50
_ID_MAX: Final = 2**63 - 1

log = structlog.get_logger()


class LetterUnknown(Rejected):
    """No dead letter has this id."""

    slug = "dead-letter-unknown"
    status = 404
    title = "There is no such dead letter"


class LetterDiscarded(Rejected):
    """The letter was discarded: it is not replayed any more."""

    slug = "dead-letter-discarded"
    status = 409
    title = "The dead letter was discarded"


class LetterReplayed(Rejected):
    """The letter was replayed: its payment goes on, so it cannot be discarded."""

    slug = "dead-letter-replayed"
    status = 409
    title = "The dead letter was replayed"


class LetterUnreadable(Rejected):
    """The letter's body is no message of this version, so nothing could handle it."""

    slug = "dead-letter-unreadable"
    status = 409
    title = "The dead letter cannot be read"


class StillInFlight(Rejected):
    """The payment has an open attempt: it may still be charged, the resolver finds out."""

    slug = "still-in-flight"
    status = 409
    title = "The payment has an open attempt"


class MalformedCursor(Rejected):
    """The cursor is none that an answer's `next` gave."""

    slug = "malformed-cursor"
    title = "The cursor is malformed"


class HasOpenAttempt(Protocol):
    """Whether a processor may still be charging. Filled by routing."""

    def __call__(self, payment_id: PaymentId) -> Awaitable[bool]:
        """Whether an attempt of the payment is neither absent nor ended."""
        ...


class Desk:
    """All that is done with dead letters, over HTTP and on the command line."""

    def __init__(
        self,
        store: DeadStore,
        log_: Log,
        cache: Cache,
        sealer: Sealer,
        has_open_attempt: HasOpenAttempt,
    ) -> None:
        self._store = store
        self._log = log_
        self._cache = cache
        self._sealer = sealer
        self._has_open_attempt = has_open_attempt

    async def listed(
        self, stage: str | None = None, limit: int = LIMIT_DEFAULT, cursor: str | None = None
    ) -> Letters:
        """A page of letters, newest first. Raises MalformedCursor."""
        before = None if cursor is None else _id_of(cursor)
        letters = await self._store.listed(stage, before, limit + 1)
        page = letters[:limit]
        more = len(letters) > limit
        return Letters(
            [answer_of(letter) for letter in page], _cursor_of(page[-1].id) if more else None
        )

    async def show(self, letter_id: int) -> LetterShown:
        """A letter with its message, personal data left out. Raises LetterUnknown."""
        letter = _known(await self._store.find(_bounded(letter_id)))
        return shown(letter, self._opened(letter))

    async def replay(self, letter_id: int) -> LetterAnswer:
        """Append the original to its topic again, then note it. Safe to repeat.

        Every effect downstream is keyed, so many replays have one effect. Raises LetterUnknown,
        LetterDiscarded, LetterUnreadable.
        """
        async with self._store.database.transaction() as session:
            letter = _known(await sql.held(session, _bounded(letter_id)))
            if letter.state == "discarded":
                raise LetterDiscarded("it was discarded; nothing was done")
            await self._log.append([self._record_of(letter)])
            replayed = await sql.mark_replayed(session, letter.id)
        await self._forget_status(letter)
        log.info("dead.replayed", letter=letter.id, stage=letter.stage)
        return answer_of(replayed)

    async def discard(self, letter_id: int, reason: str) -> LetterAnswer:
        """Give it up. Repeating it keeps the first reason.

        Raises LetterUnknown, LetterReplayed, StillInFlight.
        """
        async with self._store.database.transaction() as session:
            letter = _known(await sql.held(session, _bounded(letter_id)))
            if letter.state == "discarded":
                return answer_of(letter)
            if letter.state == "replayed":
                raise LetterReplayed("it was replayed; nothing was done")
            await self._refuse_in_flight(letter)
            discarded = await sql.mark_discarded(session, letter.id, reason)
        log.info("dead.discarded", letter=letter.id, stage=letter.stage)
        return answer_of(discarded)

    async def of_payment(self, payment_id: UUID) -> Sequence[LetterAnswer]:
        """The letters of a payment, newest first."""
        return [answer_of(letter) for letter in await self._store.of_payment(payment_id)]

    async def _refuse_in_flight(self, letter: Letter) -> None:
        if letter.payment_id is None:
            return
        if await self._has_open_attempt(PaymentId(letter.payment_id)):
            raise StillInFlight("an attempt is open; the resolver finds out how it ended")

    def _opened(self, letter: Letter) -> bytes:
        return self._sealer.open(letter.payload, CONTEXT)

    def _record_of(self, letter: Letter) -> Record:
        body = self._opened(letter)
        message = message_of(body)
        if message is None:
            raise LetterUnreadable("its body is no message of this version")
        return Record(letter.topic, letter.key, message, body)

    async def _forget_status(self, letter: Letter) -> None:
        """The payment is not dead any more; where the cache is away, that ages out."""
        if letter.payment_id is None:
            return
        try:
            await self._cache.drop([(f"status:{letter.payment_id}", Standing.RANK_DEAD)])
        except Unavailable as error:
            log.warning("dead.status_not_dropped", why=error.detail)


def _known(letter: Letter | None) -> Letter:
    if letter is None:
        raise LetterUnknown("no dead letter has this id")
    return letter


def _bounded(letter_id: int) -> int:
    if not 0 < letter_id <= _ID_MAX:
        raise LetterUnknown("no dead letter has this id")
    return letter_id


def _cursor_of(letter_id: int) -> str:
    return base64.urlsafe_b64encode(letter_id.to_bytes(9)).decode()


def _id_of(cursor: str) -> int:
    try:
        packed = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        packed = b""
    letter_id = int.from_bytes(packed)
    if len(packed) != 9 or letter_id > _ID_MAX:
        raise MalformedCursor("use `next` of the page before", fields=("cursor",))
    return letter_id
