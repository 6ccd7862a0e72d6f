"""A Voltpay with one defect: `python -m tests.faults.altered ALTERATION up --data …`.

One piece of the product is replaced in the parent process; the roles that it forks inherit that.
In the folder that `VOLTPAY_TEST_ALTERED` names, an alteration notes whom it befalls: a file a
kind, an id a line.
"""

import asyncio
import os
import sys
from pathlib import Path

from msgspec.structs import replace
from redis.asyncio import Redis

from voltpay.cli import main
from voltpay.core.messages import standing_of
from voltpay.core.payment import Sealed
from voltpay.foundation.engines.redis.connect import ServerFull
from voltpay.foundation.engines.redis.intake import RedisIntake
from voltpay.foundation.engines.redis.names import claim_key, id_of, stream_of
from voltpay.foundation.engines.redis.shared import SharedConsumer
from voltpay.foundation.runtime.batch_loop import BatchLoop
from voltpay.foundation.runtime.blame import taken_of
from voltpay.foundation.runtime.dispatch import Dispatch
from voltpay.foundation.runtime.failpoints import reach
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.services.inquiry import store as read_model
from voltpay.services.ledger import rows
from voltpay.services.ledger import store as ledger
from voltpay.services.routing import route
from voltpay.services.routing.charge import Refused, Undecided

VARIABLE = "VOLTPAY_TEST_ALTERED"
BEFALLEN = "befallen"
ANSWERED = "altered.answered"
"""The failpoint between a 202 and the append that it should have waited for."""

OTHER = {"default": "fallback", "fallback": "default"}
ONE_IN = 32
REPEAT_WINDOW_S = 86_400
APPEND_LATER_S = 0.05


def note(kind, names):
    """Write down whom something befalls."""
    with (Path(os.environ[VARIABLE]) / kind).open("a") as file:
        file.write("".join(f"{name}\n" for name in names))


def noted(folder, kind):
    """Whom it befell, as often as it was written down."""
    path = folder / kind
    return path.read_text().splitlines() if path.exists() else []


def picked(payment_id):
    """Whether this payment is one of the few that an alteration befalls; if so, it is noted."""
    is_picked = payment_id.int % ONE_IN == 0
    if is_picked:
        note(BEFALLEN, [payment_id])
    return is_picked


def ids_of(deliveries):
    """The payments that messages are about."""
    return [standing_of(taken_of(delivery).message)[0] for delivery in deliveries]


def nothing():
    """Nothing is altered."""


def acknowledge_before_append():
    """Ingest answers 202 a moment before the payment is appended to the log."""
    append, under_way = RedisIntake.accept, set()

    async def later(*asked):
        await asyncio.sleep(APPEND_LATER_S)
        reach(ANSWERED)
        await append(*asked)

    async def accept(self, claims, epoch):
        task = asyncio.create_task(later(self, claims, epoch))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return [None] * len(claims)

    RedisIntake.accept = accept


def acknowledge_before_routing():
    """Routing acknowledges a payment before its stage has run."""

    async def handle(self, place):
        delivery = place.delivery
        ids = ids_of([delivery])
        note("route.begun", ids)
        await self._finished((delivery, ()))
        messages = await self._window.stage(taken_of(delivery))
        await self._finished((delivery, self._window.publish(messages)))
        note("route.done", ids)

    Dispatch._handle = handle


def acknowledge_before_commit():
    """The ledger, and the projection, acknowledge a batch before its transaction has run."""

    async def post(self, deliveries):
        ids = ids_of(deliveries)
        note(f"{self.name}.begun", ids)
        await self._consumer.finish(deliveries, ())
        messages = await self._stage([taken_of(delivery) for delivery in deliveries])
        note(f"{self.name}.done", ids)
        await self._consumer.finish((), self._publish(messages))

    BatchLoop._post = post


def plain_pipeline():
    """Routing publishes and acknowledges by commands in a row, not by one script."""

    async def finish(self, deliveries, records):
        self._heart.use()
        pipeline = Redis(connection_pool=self._server._pool).pipeline(transaction=False)
        for record in records:
            row = self._publication.row(record.topic)
            pipeline.xadd(self._publication._stream_for(record, row), {"b": record.body})
            if record.closes:
                pipeline.expire(claim_key(record.closes), REPEAT_WINDOW_S)
        for one in deliveries:
            pipeline.xack(stream_of(one.topic), self._group, id_of(one.position))
        replies = await pipeline.execute(raise_on_error=False)
        refused = [reply for reply in replies if isinstance(reply, Exception)]
        note("finish.refused" if refused else "finish.done", ids_of(deliveries))
        if refused:
            raise ServerFull(str(refused[0]))
        self._held.difference_update(one.position for one in deliveries)

    SharedConsumer.finish = finish


def fail_over_on_unknown():
    """Routing takes an outcome that is not known for a definite no."""
    post = route.post

    async def impatient(*where, **bounds):
        judgement = await post(*where, **bounds)
        return Refused(judgement.why) if isinstance(judgement, Undecided) else judgement

    route.post = impatient


def wrong_processor():
    """Routing says of some payments that the other processor settled them."""
    conclude = route.concluded

    def concluded(row, *rest):
        done = conclude(row, *rest)
        return replace(done, processor=OTHER[done.processor]) if picked(row.payment.id) else done

    route.concluded = concluded


def wrong_attempt():
    """Routing writes some attempts down in the other processor's name, and stands by it."""
    opening_of = route.Route._opening

    def opening(self, payment, *rest):
        right = opening_of(self, payment, *rest)
        return replace(right, processor=OTHER[right.processor]) if picked(payment.id) else right

    route.Route._opening = opening


def lost_posting():
    """The ledger writes some payments, and moves the balances, without their legs."""
    posting_rows = rows.posting_rows

    def fewer(*batch):
        return [row for row in posting_rows(*batch) if not picked(row[0])]

    rows.posting_rows = fewer


def moved_balance():
    """The ledger adds a cent to the balances of some customers without a posting."""
    append = ledger.append

    async def generous(session, batch, at_ms):
        posted = await append(session, batch, at_ms)
        for account in {each.customer for each in batch.entries if not each.key[0].int % ONE_IN}:
            note(BEFALLEN, [account])
            sql = "update ledger.balance set amount_minor = amount_minor + 1 where account_id = $1"
            await session.execute(sql, batch.ids.accounts[account])
        return posted

    ledger.append = generous


def forgotten_posting():
    """The ledger does not write down what it has posted, so that a repeat is posted again."""

    def none(keys, *_):
        note("posted", [payment_id for payment_id, _ in keys])
        return []

    rows.idempotency_rows = none


def dropped_fact():
    """The projection passes some posted payments by, as if they were of a purged epoch."""
    project = read_model.project

    def kept(fact):
        payment = fact.settled.payment
        if not picked(payment.id):
            return fact
        return replace(fact, settled=replace(fact.settled, payment=replace(payment, epoch=-1)))

    async def forgetful(session, facts):
        return await project(session, [kept(fact) for fact in facts])

    read_model.project = forgetful


def not_sealed():
    """Personal data goes on the log as it came."""
    Sealer.seal = lambda _self, plain, _context: Sealed(plain)


ALTERATIONS = {
    made.__name__.replace("_", "-"): made
    for made in (
        nothing,
        acknowledge_before_append,
        acknowledge_before_routing,
        acknowledge_before_commit,
        plain_pipeline,
        fail_over_on_unknown,
        wrong_processor,
        wrong_attempt,
        lost_posting,
        moved_balance,
        forgotten_posting,
        dropped_fact,
        not_sealed,
    )
}

if __name__ == "__main__":
    ALTERATIONS[sys.argv.pop(1)]()
    main()
