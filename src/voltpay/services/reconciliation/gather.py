"""Gather the evidence: journals, promises and the log first, then one snapshot of the database.

Reads everything, writes nothing. Memory grows with the payments of the window: about 1 KB each.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from voltpay.foundation.engines.postgres.pool import Row, Session
from voltpay.services.reconciliation.audits import AUDITS, OF_READ_MODEL
from voltpay.services.reconciliation.evidence import (
    Asked,
    AttemptSeen,
    Difference,
    Evidence,
    Execution,
    Posted,
    SummarySeen,
)
from voltpay.services.reconciliation.on_its_way import payments_on_log, promises_of
from voltpay.services.reconciliation.sources import Journal, Sources, Window, windows_among

_SHOWN_MAX: Final = 1_000


async def gather(
    sources: Sources, window: Window, asked: Sequence[Asked] = (), *, before: Evidence | None = None
) -> Evidence:
    """All evidence of a window; a client's history; again the summaries of a look `before`."""
    journals = {name: await _journal(journal, window) for name, journal in sources.journals.items()}
    # What was promised is on the log, or further on: so each is read before the next.
    promised = await promises_of(sources) if window == Window() else frozenset()
    on_log = await payments_on_log(sources)
    spans = _spans(before) if before else windows_among(_times(journals), window)
    summaries = await _summaries(sources, spans)
    async with sources.database.transaction("repeatable_read") as session:
        waiting = {name: await lane.backlog() for name, lane in sources.lanes.items()}
        bounds = (_moment(window.from_ms), _moment(window.to_ms))
        return Evidence(
            journals=journals,
            attempts=await _attempts(session, bounds),
            ledger=await _posted(session, _LEDGER, bounds),
            read_model=await _posted(session, _READ_MODEL, bounds),
            conflicts=await _conflicts(session),
            dead=await _dead(session),
            waiting=waiting,
            anomalies=await _anomalies(session, window, waiting),
            asked=asked,
            on_log=on_log,
            promised=promised,
            discarded=await _discarded(session),
            summaries=summaries,
        )


def _spans(before: Evidence) -> Sequence[tuple[int, int]]:
    return [(each.from_ms, each.to_ms) for each in before.summaries]


async def _summaries(sources: Sources, spans: Sequence[tuple[int, int]]) -> Sequence[SummarySeen]:
    seen = []
    for from_ms, to_ms in spans:
        totals = await sources.summaries(from_ms, to_ms)
        if totals is None:
            break
        seen.append(SummarySeen(from_ms, to_ms, totals))
    return seen


def _times(journals: Mapping[str, Mapping[UUID, Sequence[Execution]]]) -> Sequence[int]:
    return sorted(
        each.requested_at_ms
        for journal in journals.values()
        for executions in journal.values()
        for each in executions
    )


async def _journal(journal: Journal, window: Window) -> Mapping[UUID, Sequence[Execution]]:
    found: dict[UUID, list[Execution]] = {}
    async for page in journal(window.from_ms, window.to_ms):
        for line in page:
            execution = Execution(line.amount_minor, line.requested_at_ms)
            found.setdefault(line.payment_id, []).append(execution)
    return found


_ATTEMPTS: Final = """
    select payment_id, processor, state, amount_minor, posted,
           (extract(epoch from requested_at) * 1000)::bigint as requested_at_ms
      from routing.attempt where requested_at between $1 and $2 order by payment_id, number"""
_LEDGER: Final = """
    select p.payment_id, r.name as processor, p.amount_minor, p.currency, p.executed, p.fee_minor,
           p.sequence,
           (extract(epoch from p.requested_at) * 1000)::bigint as requested_at_ms
      from ledger.payment p join reference.processor r on r.id = p.processor_id
     where p.requested_at between $1 and $2"""
_READ_MODEL: Final = """
    select payment_id, processor, amount_minor, currency, executed, fee_minor, sequence,
           (extract(epoch from requested_at) * 1000)::bigint as requested_at_ms
      from inquiry.payment where requested_at between $1 and $2"""
_CONFLICTS: Final = "select payment_id from routing.conflict"
_DISCARDED: Final = """
    select payment_id from dead.letter where state = 'discarded' and payment_id is not null"""
_DEAD: Final = "select id, payment_id from dead.letter where state = 'buried' order by id"


async def _attempts(
    session: Session, bounds: tuple[datetime, datetime]
) -> Mapping[UUID, Sequence[AttemptSeen]]:
    found: dict[UUID, list[AttemptSeen]] = {}
    for row in await session.fetch(_ATTEMPTS, *bounds):
        seen = AttemptSeen(
            row["processor"],
            row["state"],
            row["amount_minor"],
            row["requested_at_ms"],
            row["posted"],
        )
        found.setdefault(_uuid(row), []).append(seen)
    return found


async def _posted(
    session: Session, sql: str, bounds: tuple[datetime, datetime]
) -> Mapping[UUID, Posted]:
    return {
        _uuid(row): Posted(
            row["processor"],
            row["amount_minor"],
            row["currency"],
            row["executed"],
            row["requested_at_ms"],
            row["fee_minor"],
            row["sequence"],
        )
        for row in await session.fetch(sql, *bounds)
    }


async def _conflicts(session: Session) -> frozenset[UUID]:
    return frozenset(_uuid(row) for row in await session.fetch(_CONFLICTS))


async def _dead(session: Session) -> Mapping[int, UUID | None]:
    return {
        row["id"]: None if row["payment_id"] is None else _uuid(row)
        for row in await session.fetch(_DEAD)
    }


async def _discarded(session: Session) -> frozenset[UUID]:
    return frozenset(_uuid(row) for row in await session.fetch(_DISCARDED))


def _uuid(row: Row) -> UUID:
    return UUID(bytes=row["payment_id"].bytes)


async def _anomalies(
    session: Session, window: Window, waiting: Mapping[str, int]
) -> Sequence[Difference]:
    days = f"between '{_moment(window.from_ms):%Y-%m-%d}' and '{_moment(window.to_ms):%Y-%m-%d}'"
    found: list[Difference] = []
    for what, sql in AUDITS.items():
        if what in OF_READ_MODEL and waiting.get("payment.posted", 0):
            continue
        bounded = sql.format(
            window=f"day {days}", window_p=f"p.day {days}", window_q=f"q.day {days}"
        )
        rows = await session.fetch(f"{bounded} limit {_SHOWN_MAX}")
        found += [Difference(what, row["who"] or "?", row["detail"]) for row in rows]
    return found


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
