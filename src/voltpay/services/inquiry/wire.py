"""Put inquiry together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.messages import Standing
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.postgres.fence import Fence
from voltpay.foundation.engines.postgres.pool import Session
from voltpay.foundation.engines.postgres.replicas import ReplicaBounds, Replicas
from voltpay.foundation.runtime.parts import Part, Periodic
from voltpay.services.inquiry import api, store
from voltpay.services.inquiry.cached import Bound, Cached
from voltpay.services.inquiry.known import Posted
from voltpay.services.inquiry.project import Project
from voltpay.services.inquiry.questions import (
    AccountQuestions,
    ChargesOf,
    LettersOf,
    Payments,
    Sources,
)
from voltpay.services.inquiry.rebuild import FactsSince, Rebuild
from voltpay.services.inquiry.rows import Balances, Total
from voltpay.services.inquiry.settings import InquirySettings
from voltpay.services.inquiry.store import LOCK_CLASS, Reader
from voltpay.services.inquiry.summary import SettledEnds, Summary
from voltpay.services.inquiry.window import Window


@dataclass(frozen=True)
class Inquiry:
    """Inquiry: stage `project`, the handlers, and what others are given.

    `rebuild(facts, progress)` gives the number of payments. `statuses(ids)` tells what the read
    model has of these payments. `totals(from_ms, to_ms, currency)` is the summary by processor, or
    None if it could not be complete. `purge` empties it within a transaction that has raised the
    epoch.
    """

    part: Part
    rebuild: Callable[[FactsSince, Callable[[int], None]], Awaitable[int]]
    statuses: Callable[[Sequence[PaymentId]], Awaitable[Mapping[PaymentId, Standing]]]
    count_payments: Callable[[], Awaitable[int]]
    totals: Callable[[int, int, str], Awaitable[Mapping[str, Total] | None]]
    purge: Callable[[Session], Awaitable[None]]


def build(
    engines: Engines,
    settings: InquirySettings,
    *,
    processors: Sequence[str],
    currency_default: str,
    settled_ends: SettledEnds,
    attempts_of: ChargesOf,
    dead_of: LettersOf,
) -> Inquiry:
    """Inquiry on these engines. `processors`: the names that every summary has."""
    primary = engines.primary("projection", size_max=1)
    rebuilder = engines.primary("rebuild", size_max=1, timeout_ms=120_000)
    replicas = engines.replicas(
        "inquiry",
        ReplicaBounds(settings.replica_lag_max_ms, settings.replica_wait_max_ms),
        size_max=settings.connections_max,
    )
    reader, bound = Reader(replicas), Bound(settings.questions_at_once_max)
    sources = Sources(
        settings.source_timeout_ms, reader, engines.cache, engines.intake, attempts_of, dead_of
    )
    fence = Fence(primary, LOCK_CLASS)
    summary = Summary(reader, settled_ends, engines.clock, bound, settings, processors)
    payments = Payments(sources, engines.sealer, bound, _payments_cached(engines, settings, bound))
    accounts = _accounts(engines, settings, reader, bound)

    async def statuses(ids: Sequence[PaymentId]) -> Mapping[PaymentId, Standing]:
        return {row.id: row.standing for row in await reader.payments(ids)}

    async def totals(from_ms: int, to_ms: int, currency: str) -> Mapping[str, Total] | None:
        found, is_complete = await summary.totals(Window(from_ms, to_ms), currency)
        return found if is_complete else None

    async def purge(session: Session) -> None:
        try:
            passed = await settled_ends()
        except Unavailable:
            passed = {}
        await store.purge(session, passed)

    async def close() -> None:
        await fence.close()
        await primary.close()
        await replicas.close()

    return Inquiry(
        part=Part(
            stages={"project": Project(fence, engines.cache)},
            handlers=api.handlers(payments, accounts, summary, currency_default),
            shortcuts=api.shortcuts(payments, accounts),
            periodics=_watching(engines, replicas, settings),
            close=close,
        ),
        rebuild=Rebuild(rebuilder, engines.clock, settings.rebuild_margin_ms),
        statuses=statuses,
        count_payments=reader.count,
        totals=totals,
        purge=purge,
    )


def _watching(
    engines: Engines, replicas: Replicas, settings: InquirySettings
) -> Sequence[Periodic]:
    if not engines.replica_urls:
        return ()
    look_ms = settings.replica_look_ms
    return [Periodic("inquiry.replicas", look_ms, replicas.look, is_needed=False)]


def _payments_cached(engines: Engines, settings: InquirySettings, bound: Bound) -> Cached[Posted]:
    ttl_ms = settings.payment_ttl_ms
    return Cached("payment", Posted, engines.cache, engines.chance, bound, ttl_ms)


def _accounts(
    engines: Engines, settings: InquirySettings, reader: Reader, bound: Bound
) -> AccountQuestions:
    ttl_ms = settings.account_ttl_ms
    return AccountQuestions(
        reader,
        bound,
        Cached("balance", Balances, engines.cache, engines.chance, bound, ttl_ms),
        Cached("transactions", bytes, engines.cache, engines.chance, bound, ttl_ms),
    )
