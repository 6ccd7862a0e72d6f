"""Answers through the cache: versioned, one flight a key, a bound on what reaches the database."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Generic, TypeVar

import msgspec
import structlog
from prometheus_client import Counter

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.foundation.runtime.group_commit import GroupCommit
from voltpay.foundation.seams.cache import Cache, Entry
from voltpay.foundation.seams.clock import Chance

T = TypeVar("T")

log = structlog.get_logger()
_ASKED = Counter("voltpay_cached_answers_total", "Answers by where they came from", ["kind", "how"])
_REFUSED = Counter(
    "voltpay_cached_old_versions_total", "Fills that the cache refused as older", ["kind"]
)


_ASKED_AGAIN_MAX: Final = 2
"""A replica that lags gives an outdated answer again and again: then it is given as it is."""


class TooManyQuestions(Unavailable):
    """As many questions as allowed are at the database already."""

    slug = "overloaded"
    title = "Too much is waiting"


class Bound:
    """At most `count_max` questions at the database at once; one more raises TooManyQuestions."""

    def __init__(self, count_max: int) -> None:
        self._free = count_max

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold a place."""
        if self._free <= 0:
            raise TooManyQuestions("too many questions are at the database; try again")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


def keys_of_account(account: str) -> tuple[str, str]:
    """Every key that an account's payments make old."""
    return balance_key(account), transactions_key(account)


def payment_key(payment_id: PaymentId) -> str:
    """Where a posted payment is cached."""
    return f"payment:{payment_id}"


def balance_key(account: str) -> str:
    """Where an account's balances are cached."""
    return f"balance:{account}"


def transactions_key(account: str) -> str:
    """Where the first page of an account's payments is cached."""
    return f"transactions:{account}"


def shared_gets(cache: Cache) -> GroupCommit[str, tuple[int, bytes] | None]:
    """What the cache holds under a key, by round trips shared with whoever asks meanwhile."""
    return GroupCommit(cache.get, lanes=2)


class Cached(Generic[T]):
    """Answers of one kind: from the cache, else by `ask`, which gives (version, value) or None.

    Absence is never cached. `ttl_ms` varies by a tenth up and down, so that answers cached
    together do not age together. A cache that is away costs nothing but a trip to the database.
    """

    def __init__(
        self, kind: str, value: type[T], cache: Cache, chance: Chance, bound: Bound, ttl_ms: int
    ) -> None:
        self._kind = kind
        self._cache = cache
        self._chance = chance
        self._bound = bound
        self._ttl_ms = ttl_ms
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(value)
        self._flights: dict[str, asyncio.Task[T | None]] = {}
        self._held = shared_gets(cache)

    async def __call__(
        self, key: str, ask: Callable[[], Awaitable[tuple[int, T] | None]], *, past_cache: bool
    ) -> T | None:
        """The value under a key. `past_cache` asks the database now, for whoever just wrote."""
        if past_cache:
            self._count("past")
            return await self._fill(key, ask)
        if key not in self._flights:
            found = await self._found(key)
            if found is not None:
                return found
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fill(key, ask))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        else:
            self._count("joined")
        # A caller that goes away must not take the answer from those who wait for the same.
        return await asyncio.shield(flight)

    def _landed(self, key: str, flight: asyncio.Task[T | None]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()

    async def _found(self, key: str) -> T | None:
        try:
            held = await self._held(key)
        except Unavailable:
            self._count("away")
            return None
        if held is None:
            self._count("miss")
            return None
        try:
            value = self._decoder.decode(held[1])
        except msgspec.MsgspecError:
            self._count("unreadable")
            return None
        self._count("hit")
        return value

    async def _fill(self, key: str, ask: Callable[[], Awaitable[tuple[int, T] | None]]) -> T | None:
        """The answer, stored. One that the cache refuses is outdated by now, so it is asked again.

        Whoever joined in the meantime may have seen the newer one already.
        """
        with self._bound():
            answered = await ask()
        for _ in range(_ASKED_AGAIN_MAX):
            if answered is None or await self._put(key, *answered):
                break
            with suppress(TooManyQuestions), self._bound():
                answered = await ask()
        return None if answered is None else answered[1]

    async def _put(self, key: str, version: int, value: T) -> bool:
        """Whether nothing newer stands in the cache, as far as it can be told."""
        ttl_ms = int(self._ttl_ms * (0.9 + 0.2 * self._chance.random()))
        entry = Entry(key, version, self._encoder.encode(value), ttl_ms)
        try:
            stored = (await self._cache.put_if_newer([entry]))[0]
        except Unavailable as error:
            log.warning("inquiry.cache_away", kind=self._kind, why=error.detail)
            return True
        if not stored:
            _REFUSED.labels(self._kind).inc()
        return stored

    def _count(self, how: str) -> None:
        _ASKED.labels(self._kind, how).inc()
