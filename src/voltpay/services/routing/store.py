"""All SQL on attempts and conflicts.

What a purge left behind is dropped by each write: its epoch is below the installation's.
"""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import msgspec

from voltpay.core.payment import Payment
from voltpay.foundation.engines.postgres.pool import Postgres, Row, Session
from voltpay.services.routing.attempts import (
    AttemptKey,
    AttemptRow,
    AttemptState,
    AttemptView,
    Closing,
    ConflictView,
    Opened,
    Opening,
    OpenResult,
    Standing,
)

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Payment)
_OPENED: Final = Opened()

_ROW = """
       payment, number, processor, state, turn, lease_until > now() as leased, asked, fee_minor,
       note, explanation ->> 'reason' as reason,
       (extract(epoch from requested_at) * 1000)::bigint as requested_ms,
       (extract(epoch from settled_at) * 1000)::bigint as settled_ms
"""
_WISH = """
with wish as (
    select * from unnest($1::routing.wish[]) as w
     where w.epoch >= (select epoch from reference.installation)
)"""
# Payments that start together share one explanation, and to parse it costs more than to compare it.
_INSERT = """, explained as materialized (
    select explanation as said, explanation::jsonb as parsed
      from (select distinct explanation from wish) as each
)
insert into routing.attempt (payment_id, number, processor, amount_minor, currency, fingerprint,
                             payment, requested_at, state, owner, lease_until, explanation, epoch)
select payment_id, number, processor, amount_minor, currency, fingerprint, payment,
       timestamptz 'epoch' + requested_ms * interval '1 ms', 'sending', $2,
       now() + lease_ms * interval '1 ms', parsed, epoch
  from wish join explained on said = explanation {only} order by payment_id
on conflict do nothing
returning payment_id"""
_OPEN = _WISH + _INSERT.format(only="")
_GONE = """, gone as (
    update routing.attempt a
       set state = 'absent', posted = true, note = w.former_note, lease_until = now(), ask_at = null
      from wish w
     where a.payment_id = w.payment_id and a.number = w.number - 1
       and a.turn = w.former_turn and a.owner = $2 and a.state = 'sending'
    returning a.payment_id
)"""
_REOPEN = _WISH + _GONE + _INSERT.format(only="where payment_id in (select payment_id from gone)")
_STANDING = f"""
select {_ROW} from routing.attempt where payment_id = any($1::uuid[])
 order by payment_id, number"""  # noqa: S608
_CLOSE = """
update routing.attempt a
   set state = w.state, note = w.note, fee_minor = w.fee_minor, posted = w.posted,
       requested_at = timestamptz 'epoch' + w.requested_ms * interval '1 ms',
       settled_at = timestamptz 'epoch' + w.settled_ms * interval '1 ms',
       ask_at = now() + w.ask_after_ms * interval '1 ms', lease_until = now(),
       asked = case w.state when 'unknown' then a.asked else 0 end
  from unnest($1::routing.outcome[]) as w
 where a.payment_id = w.payment_id and a.number = w.number and a.turn = w.turn and a.owner = $2
   and a.state in ('sending', 'unknown')
   and a.epoch >= (select epoch from reference.installation)
returning a.payment_id, a.number"""
_TAKE_OVER = """
update routing.attempt
   set state = 'unknown', turn = turn + 1, owner = $4, lease_until = now(), ask_at = now()
 where payment_id = $1 and number = $2 and turn = $3 and state = 'sending' and lease_until <= now()
returning true"""
_CLAIM = f"""
with asking as (
    select payment_id, number from routing.attempt
     where processor = $1 and state = 'unknown' and ask_at <= now() and lease_until <= now()
       and (owner = $2 or ask_at <= now() - $3 * interval '1 ms')
     order by ask_at limit $4 for update skip locked
), orphaned as (
    select payment_id, number from routing.attempt
     where processor = $1 and state = 'sending' and lease_until <= now()
       and payment_id <> all ($6::uuid[])
     order by lease_until limit $4 for update skip locked
), due as (select * from asking union all select * from orphaned limit $4)
update routing.attempt a
   set state = 'unknown', turn = turn + 1, owner = $2, asked = asked + 1,
       lease_until = now() + $5 * interval '1 ms', ask_at = coalesce(ask_at, now())
  from due where a.payment_id = due.payment_id and a.number = due.number
returning {_ROW.replace("number,", "a.number,")}"""  # noqa: S608
_UNPOSTED = f"""
select {_ROW} from routing.attempt
 where state in ('executed', 'declined', 'absent') and not posted and ask_at <= now()
   and epoch >= (select epoch from reference.installation)
 order by ask_at limit $1"""  # noqa: S608
_POSTED = """
update routing.attempt a set posted = true
  from unnest($1::uuid[], $2::smallint[]) as w (payment_id, number)
 where a.payment_id = w.payment_id and a.number = w.number and not a.posted
   and a.state in ('executed', 'declined', 'absent')"""
_SWEEP_LATER = """
update routing.attempt a
   set asked = asked + 1, ask_at = now() + $3::bigint * (1 << least(a.asked, 6)) * interval '1 ms'
  from unnest($1::uuid[], $2::smallint[]) as w (payment_id, number)
 where a.payment_id = w.payment_id and a.number = w.number and not a.posted"""
_CONFLICT = """
insert into routing.conflict (payment_id, fingerprint, payment, fields)
select $1, $2, $3, $4 where $5 >= (select epoch from reference.installation)
on conflict do nothing"""
_VIEWS = """
select *, explanation::text as explained,
       (extract(epoch from requested_at) * 1000)::bigint as requested_ms,
       (extract(epoch from settled_at) * 1000)::bigint as settled_ms
  from routing.attempt where payment_id = $1 order by number"""
_CONFLICTS = """
select fields, (extract(epoch from noticed_at) * 1000)::bigint as noticed_ms
  from routing.conflict where payment_id = $1 order by noticed_at"""


class Store:
    """Attempts that `owner` (this process) opens, closes and claims."""

    def __init__(self, database: Postgres, owner: str) -> None:
        self._database = database
        self._owner = owner

    async def open(self, openings: Sequence[Opening]) -> Sequence[OpenResult]:
        """Write attempts before their POST, no payment twice in one call: see Opening."""
        won: set[UUID] = set()
        for sql, some in (
            (_OPEN, [one for one in openings if not one.former_turn]),
            (_REOPEN, [one for one in openings if one.former_turn]),
        ):
            if some:
                rows = await self._database.fetch(sql, _wishes_of(some), self._owner)
                won.update(row["payment_id"] for row in rows)
        lost = [one.payment.id for one in openings if one.payment.id not in won]
        standing = await self._standing(lost) if lost else {}
        return [
            _OPENED if one.payment.id in won else Standing(standing.get(one.payment.id, ()))
            for one in openings
        ]

    async def close(self, closings: Sequence[Closing]) -> Sequence[bool]:
        """Close attempts, each only if it is held by `owner` in its turn; tells which were."""
        outcomes = [_outcome_of(closing) for closing in closings]
        rows = await self._database.fetch(_CLOSE, outcomes, self._owner)
        closed = {(row["payment_id"], row["number"]) for row in rows}
        return [(one.payment_id, one.number) in closed for one in closings]

    async def take_over(self, row: AttemptRow) -> bool:
        """Make an attempt whose sender's lease ran out unknown; False if somebody was faster."""
        values = (row.payment.id, row.number, row.turn, self._owner)
        return await self._database.fetch_value(_TAKE_OVER, *values) is True

    async def claim(
        self, processor: str, *, count: int, lease_ms: int, grace_ms: int, held: Collection[UUID]
    ) -> Sequence[AttemptRow]:
        """Take unknown attempts that are due, and those whose sender's lease ran out.

        Others' questions are left alone for `grace_ms`; payments in `held` are being sent here.
        """
        values = (processor, self._owner, grace_ms, count, lease_ms, list(held))
        return [_row_of(row) for row in await self._database.fetch(_CLAIM, *values)]

    async def note_conflict(self, payment: Payment, fields: Sequence[str]) -> None:
        """Keep a payment that came under an id that another one holds."""
        await self._database.execute(
            _CONFLICT,
            payment.id,
            payment.fingerprint,
            _ENCODER.encode(payment),
            list(fields),
            payment.epoch,
        )

    async def unposted(self, count: int) -> Sequence[AttemptRow]:
        """Settled and absent attempts that nobody was seen to carry on, those that are due."""
        return [_row_of(row) for row in await self._database.fetch(_UNPOSTED, count)]

    async def mark_posted(self, keys: Sequence[AttemptKey]) -> None:
        """They were carried on: no need to look again."""
        if keys:
            await self._database.execute(_POSTED, *_key_columns(keys))

    async def sweep_later(self, keys: Sequence[AttemptKey], after_ms: int) -> None:
        """Look again after that long, twice as long each time."""
        if keys:
            await self._database.execute(_SWEEP_LATER, *_key_columns(keys), after_ms)

    async def attempts_of(self, payment_id: UUID) -> Sequence[AttemptView]:
        """All attempts of a payment, in order."""
        return [_view_of(row) for row in await self._database.fetch(_VIEWS, payment_id)]

    async def conflicts_of(self, payment_id: UUID) -> Sequence[ConflictView]:
        """Other payments that came under the same id, oldest first."""
        rows = await self._database.fetch(_CONFLICTS, payment_id)
        return [ConflictView(list(row["fields"]), row["noticed_ms"]) for row in rows]

    async def _standing(self, ids: Sequence[UUID]) -> dict[UUID, list[AttemptRow]]:
        found: dict[UUID, list[AttemptRow]] = {}
        for row in await self._database.fetch(_STANDING, ids):
            attempt = _row_of(row)
            found.setdefault(attempt.payment.id, []).append(attempt)
        return found


async def purge(session: Session) -> None:
    """Sandbox only: drop all attempts and conflicts, in the transaction that raises the epoch."""
    await session.execute("truncate routing.attempt, routing.conflict")


def _wishes_of(openings: Sequence[Opening]) -> list[tuple[object, ...]]:
    return [
        (
            one.payment.id,
            one.number,
            one.processor,
            one.payment.amount_minor,
            one.payment.currency,
            one.payment.fingerprint,
            _ENCODER.encode(one.payment),
            one.requested_at_ms,
            one.explanation,
            one.lease_ms,
            one.payment.epoch,
            one.former_turn,
            one.former_note,
        )
        for one in openings
    ]


def _outcome_of(one: Closing) -> tuple[object, ...]:
    return (
        one.payment_id,
        one.number,
        one.turn,
        one.state.value,
        one.note,
        one.fee_minor,
        one.posted,
        one.requested_at_ms,
        one.settled_at_ms,
        one.ask_after_ms,
    )


def _key_columns(keys: Sequence[AttemptKey]) -> list[list[object]]:
    return [[key.payment_id for key in keys], [key.number for key in keys]]


def _row_of(row: Row) -> AttemptRow:
    return AttemptRow(
        _DECODER.decode(row["payment"]),
        row["number"],
        row["processor"],
        row["requested_ms"],
        AttemptState(row["state"]),
        row["turn"],
        row["leased"],
        row["asked"],
        row["fee_minor"],
        row["reason"],
        row["note"],
        row["settled_ms"] or 0,
    )


def _view_of(row: Row) -> AttemptView:
    return AttemptView(
        row["number"],
        row["processor"],
        row["state"],
        row["requested_ms"],
        row["settled_ms"],
        msgspec.json.decode(row["explained"]),
        row["note"],
        _DECODER.decode(row["payment"]),
        row["fee_minor"],
    )
