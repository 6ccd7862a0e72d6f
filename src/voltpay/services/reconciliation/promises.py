"""Promises against stores: pure; what was said to a client, and what became of it."""

from collections.abc import Iterator
from uuid import UUID

from voltpay.services.reconciliation.evidence import Asked, Difference, Evidence, Posted


def of_promises(evidence: Evidence) -> Iterator[Difference]:
    """I1 nothing lost, I2 nothing made up, I9 nothing promised twice.

    The intake knows of its own promises; of bookings that nobody asked for only a client does.
    """
    asked = {each.payment_id: each for each in evidence.asked}
    told = [each.payment_id for each in asked.values() if each.outcome == "ok"]
    # Made once: of a hundred thousand payments, thousands may be in each of these.
    known = {*evidence.conflicts, *evidence.on_log, *evidence.dead.values()}
    held = known | {*evidence.discarded, *evidence.ledger, *_under_way(evidence)}
    for payment_id in dict.fromkeys([*told, *evidence.promised]):
        if payment_id not in held:
            yield Difference("lost", str(payment_id), "answered with 202, and in no store")
    for payment_id, each in asked.items():
        if each.others_minor and payment_id not in known:
            detail = f"202 for {each.amount_minor} and for {sorted(each.others_minor)}"
            yield Difference("promised twice", str(payment_id), detail)
    for payment_id, posted in evidence.ledger.items() if asked else ():
        yield from _of_booking(payment_id, posted, asked.get(payment_id))


def _under_way(evidence: Evidence) -> Iterator[UUID]:
    for payment_id, attempts in evidence.attempts.items():
        if any(each.holds for each in attempts):
            yield payment_id


def _of_booking(payment_id: UUID, posted: Posted, asked: Asked | None) -> Iterator[Difference]:
    who = str(payment_id)
    if asked is None:
        yield Difference("made up", who, "in the ledger, and no client asked for it")
    elif asked.outcome == "fail":
        yield Difference("refused but made", who, "in the ledger, and its client was refused")
    elif asked.outcome == "ok" and asked.amount_minor != posted.amount_minor:
        detail = f"asked for {asked.amount_minor}, booked {posted.amount_minor}"
        yield Difference("wrong amount", who, detail)
