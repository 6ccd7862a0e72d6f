"""The answers: where a payment is, what an account holds, which payments it made."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from voltpay.core.errors import Rejected, Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.messages import Standing
from voltpay.foundation.runtime.http import json_bytes
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.seams.cache import Cache
from voltpay.foundation.seams.intake import Intake
from voltpay.services.inquiry import cached
from voltpay.services.inquiry.cached import Bound, Cached
from voltpay.services.inquiry.known import (
    Charges,
    DeadView,
    Known,
    PaymentAnswer,
    Personal,
    Posted,
    answer_of,
    details_of,
    personal_of,
)
from voltpay.services.inquiry.pages import Page, Place, cursor_of
from voltpay.services.inquiry.rows import Balances, Listed, PostedPayment
from voltpay.services.inquiry.store import Reader
from voltpay.services.inquiry.views import (
    Accounts,
    StatusAnswer,
    Transactions,
    accounts_of,
    item_of,
)

T = TypeVar("T")

LIMIT_DEFAULT: Final = 50
_STANDING: Final = msgspec.msgpack.Decoder(Standing)
_TRANSACTIONS: Final = msgspec.json.Decoder(Transactions)


class PaymentUnknown(Rejected):
    """No store knows a payment of this id."""

    slug = "payment-unknown"
    status = 404
    title = "There is no such payment"


class AccountUnknown(Rejected):
    """No payment of this account is posted yet."""

    slug = "account-unknown"
    status = 404
    title = "There is no such account"


class CannotTell(Unavailable):
    """A store that could know the payment is away, and none of the others knows how it ended."""

    slug = "cannot-tell"
    title = "A store that could know the payment is away"


class ChargesOf(Protocol):
    """What routing knows of a payment. Filled by routing."""

    def __call__(self, payment_id: PaymentId) -> Awaitable[Charges]:
        """Its attempts, conflicts and itself, as far as they are there."""
        ...


class LettersOf(Protocol):
    """The dead letters of a payment. Filled by the dead service."""

    def __call__(self, payment_id: PaymentId) -> Awaitable[Sequence[DeadView]]:
        """All of them, the newest first."""
        ...


class SourceSlow(Unavailable):
    """A store did not tell in time what it knows of a payment."""


class Sources(Struct, frozen=True):
    """Where answers come from. One that takes longer than `timeout_ms` counts as away."""

    timeout_ms: int
    reader: Reader
    cache: Cache
    intake: Intake
    charges_of: ChargesOf
    letters_of: LettersOf


class Payments:
    """Where a payment is, and everything known of it."""

    def __init__(
        self, sources: Sources, sealer: Sealer, bound: Bound, posted: Cached[Posted]
    ) -> None:
        self._from = sources
        self._sealer = sealer
        self._bound = bound
        self._posted = posted
        self._held = cached.shared_gets(sources.cache)

    async def status(self, payment_id: PaymentId, *, past_cache: bool) -> StatusAnswer:
        """Where it is. Raises PaymentUnknown, CannotTell.

        The cache alone tells only how a charge ended; a dead letter may have been replayed.
        """
        held = await self._cached(payment_id)
        if past_cache or held is None or held.rank < Standing.RANK_SETTLED:
            held = _told(await self._gather(payment_id, held))
        return StatusAnswer(payment_id, held.status, held.detail)

    async def payment(self, payment_id: PaymentId, *, past_cache: bool) -> PaymentAnswer:
        """Everything known of it. Raises PaymentUnknown, CannotTell."""
        posted = await self._posted(
            cached.payment_key(payment_id),
            lambda: self._posted_of(payment_id),
            past_cache=past_cache,
        )
        if posted is not None:
            known = Known(payment_id, row=posted.row, charges=posted.charges)
        else:
            known = await self._gather(payment_id, await self._cached(payment_id))
        standing = _told(known)
        sealed = details_of(known)
        opened = self._sealer.open(sealed, payment_id.bytes) if sealed else None
        return answer_of(known, standing, personal_of(opened) if opened else Personal())

    async def _posted_of(self, payment_id: PaymentId) -> tuple[int, Posted] | None:
        """None, too, when a source is away: then the others are asked as well."""
        timeout_ms = self._from.timeout_ms
        row = await _or_lost(self._from.reader.payment(payment_id), timeout_ms)
        if not isinstance(row, PostedPayment):
            return None
        charges = await _or_lost(self._from.charges_of(payment_id), timeout_ms)
        return (
            (Standing.RANK_POSTED, Posted(row, charges)) if isinstance(charges, Charges) else None
        )

    async def _cached(self, payment_id: PaymentId) -> Standing | None:
        try:
            held = await self._held(f"status:{payment_id}")
            return None if held is None else _STANDING.decode(held[1])
        except (Unavailable, msgspec.MsgspecError):
            return None

    async def _gather(self, payment_id: PaymentId, held: Standing | None) -> Known:
        timeout_ms = self._from.timeout_ms
        with self._bound():
            row, charges, letters, claims = await asyncio.gather(
                _or_lost(self._from.reader.payment(payment_id), timeout_ms),
                _or_lost(self._from.charges_of(payment_id), timeout_ms),
                _or_lost(self._from.letters_of(payment_id), timeout_ms),
                _or_lost(self._from.intake.find([payment_id]), timeout_ms),
            )
        lost = {"read model": row, "attempts": charges, "dead letters": letters, "claims": claims}
        claim = claims[0] if not isinstance(claims, Unavailable) else None
        return Known(
            payment_id,
            held,
            row if isinstance(row, PostedPayment) else None,
            charges if isinstance(charges, Charges) else None,
            letters if not isinstance(letters, Unavailable) else (),
            claim.accepted_at_ms if claim is not None else None,
            [name for name, found in lost.items() if isinstance(found, Unavailable)],
        )


async def _or_lost(asked: Awaitable[T], timeout_ms: int) -> T | Unavailable:
    """The answer, or why there is none by then.

    A server that stands still does not even let go of a question that is given up: so nobody waits
    for that either.
    """
    task = asyncio.ensure_future(asked)
    task.add_done_callback(_hear)
    try:
        await asyncio.wait([task], timeout=timeout_ms / 1000)
    finally:
        is_late = not task.done()
        task.cancel()
    if is_late:
        return SourceSlow(f"no answer within {timeout_ms} ms")
    try:
        return task.result()
    except Unavailable as error:
        return error


def _hear(task: asyncio.Future[T]) -> None:
    """What a question that was given up ends with is nobody's news any more."""
    if not task.cancelled():
        task.exception()


def _told(known: Known) -> Standing:
    standing = known.standing
    if known.lost and (standing is None or not standing.status.is_terminal):
        raise CannotTell(f"away: {', '.join(known.lost)}")
    if standing is None:
        raise PaymentUnknown("no store knows a payment of this id")
    return standing


class AccountQuestions:
    """What an account holds and which payments it made."""

    def __init__(
        self,
        reader: Reader,
        bound: Bound,
        balances: Cached[Balances],
        first_pages: Cached[bytes],
    ) -> None:
        self._reader = reader
        self._bound = bound
        self._balances = balances
        self._first_pages = first_pages

    async def balance(self, account: str, *, past_cache: bool) -> Accounts:
        """An account's balances. Raises AccountUnknown."""

        async def ask() -> tuple[int, Balances] | None:
            found = await self._reader.balances(account)
            return None if found is None else (found.facts, found)

        found = await self._balances(cached.balance_key(account), ask, past_cache=past_cache)
        if found is None:
            raise _unknown()
        return accounts_of(account, found)

    async def transactions(
        self, account: str, page: Page, limit: int, *, past_cache: bool
    ) -> Transactions:
        """A page of an account's payments. Raises AccountUnknown."""
        if page == Page() and limit == LIMIT_DEFAULT:
            body = await self.first_page(account, past_cache=past_cache)
            return _TRANSACTIONS.decode(body)
        with self._bound():
            listed = await self._reader.transactions(account, page, limit + 1)
        if listed is None:
            raise _unknown()
        return _page_of(listed, limit)

    async def first_page(self, account: str, *, past_cache: bool) -> bytes:
        """The page of an account's newest payments, as JSON. Raises AccountUnknown."""

        async def ask() -> tuple[int, bytes] | None:
            found = await self._reader.transactions(account, Page(), LIMIT_DEFAULT + 1)
            if found is None:
                return None
            return found.facts, json_bytes(_page_of(found, LIMIT_DEFAULT))

        key = cached.transactions_key(account)
        body = await self._first_pages(key, ask, past_cache=past_cache)
        if body is None:
            raise _unknown()
        return body


def _unknown() -> AccountUnknown:
    return AccountUnknown("no payment of this account is posted yet", fields=("accountId",))


def _page_of(listed: Listed, limit: int) -> Transactions:
    shown = listed.rows[:limit]
    is_last = len(listed.rows) <= limit
    place = None if is_last else Place(shown[-1].requested_at_ms, shown[-1].id)
    return Transactions([item_of(row) for row in shown], cursor_of(place) if place else None)
