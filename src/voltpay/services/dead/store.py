"""All SQL on dead letters."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from voltpay.core.ids import payment_id_of
from voltpay.core.messages import PaymentDead
from voltpay.core.payment import Sealed
from voltpay.foundation.engines.postgres.pool import Postgres, Row, Session
from voltpay.services.dead.letters import Letter

_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = (
    "id, topic, partition, position, key, stage, payment_id, payload, error, failures, "
    "buried_at, state, reason, changed_at, replays"
)

# An unreadable body tells no epoch: it is kept under the one of now.
_INSERT: Final = """
insert into dead.letter (topic, partition, position, key, stage, payment_id, payload, error,
                         failures, buried_at, epoch)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11, installation.epoch)
  from reference.installation
 where coalesce($11, installation.epoch) >= installation.epoch
on conflict (topic, partition, position, stage, epoch) do nothing
returning id
"""


class DeadStore:
    """Dead letters in PostgreSQL."""

    def __init__(self, database: Postgres) -> None:
        self.database = database

    async def insert(self, dead: PaymentDead, payload: Sealed, epoch: int | None) -> bool:
        """Keep one; gives whether it is new. Older than the installation's epoch: dropped."""
        made = await self.database.fetch_value(
            _INSERT,
            dead.topic,
            dead.partition,
            dead.position,
            dead.key,
            dead.stage,
            payment_id_of(dead.payment_id),
            payload,
            dead.error.replace("\0", "\ufffd"),
            dead.failures,
            _1970 + timedelta(milliseconds=dead.buried_at_ms),
            epoch,
        )
        return made is not None

    async def listed(
        self, stage: str | None, before: int | None, count_max: int
    ) -> Sequence[Letter]:
        """The newest letters, of one stage if it is given, from before an id if that is given."""
        clauses, values = ["true"], list[object]([count_max])
        if stage is not None:
            values.append(stage)
            clauses.append(f"stage = ${len(values)}")
        if before is not None:
            values.append(before)
            clauses.append(f"id < ${len(values)}")
        rows = await self.database.fetch(
            f"select {_COLUMNS} from dead.letter where {' and '.join(clauses)} "  # noqa: S608
            "order by id desc limit $1",
            *values,
        )
        return [_letter_of(row) for row in rows]

    async def of_payment(self, payment_id: UUID) -> Sequence[Letter]:
        """The letters of a payment, newest first."""
        rows = await self.database.fetch(
            f"select {_COLUMNS} from dead.letter where payment_id = $1 order by id desc",  # noqa: S608
            payment_id,
        )
        return [_letter_of(row) for row in rows]

    async def find(self, letter_id: int) -> Letter | None:
        """One letter."""
        async with self.database.session() as session:
            return await _found(session, letter_id, "")


async def held(session: Session, letter_id: int) -> Letter | None:
    """Within a transaction: one letter that nobody else changes until it ends."""
    return await _found(session, letter_id, " for update")


async def _found(session: Session, letter_id: int, lock: str) -> Letter | None:
    rows = await session.fetch(
        f"select {_COLUMNS} from dead.letter where id = $1{lock}",  # noqa: S608
        letter_id,
    )
    return _letter_of(rows[0]) if rows else None


async def mark_replayed(session: Session, letter_id: int) -> Letter:
    """Note one more replay."""
    return await _changed(
        session, "state = 'replayed', replays = replays + 1, changed_at = now()", letter_id
    )


async def mark_discarded(session: Session, letter_id: int, reason: str) -> Letter:
    """Note that it is given up, and why."""
    return await _changed(
        session, "state = 'discarded', reason = $2, changed_at = now()", letter_id, reason
    )


async def _changed(session: Session, what: str, *values: object) -> Letter:
    rows = await session.fetch(
        f"update dead.letter set {what} where id = $1 returning {_COLUMNS}",  # noqa: S608
        *values,
    )
    return _letter_of(rows[0])


async def purge(session: Session) -> None:
    """Sandbox only: drop all letters."""
    await session.execute("truncate dead.letter")


def _letter_of(row: Row) -> Letter:
    return Letter(**dict(row))
