"""Compare: pure; every difference is named with the payment it is about."""

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from msgspec import Struct

from voltpay.services.reconciliation.evidence import Asked, Difference, Evidence, Execution, Posted
from voltpay.services.reconciliation.verdict import Verdict


def compare(evidence: Evidence, *, is_drained: bool = True) -> Verdict:
    """Hold the stores against each other. `is_drained`: nothing may be on its way any more."""
    executions = _executions(evidence)
    differences = [
        *evidence.anomalies,
        *_of_promises(evidence),
        *_of_charges(evidence, executions),
        *_of_completions(evidence, executions),
        *_of_attempts(evidence),
        *_of_read_model(evidence),
        *(_left_over(evidence) if is_drained else ()),
    ]
    return Verdict(_counts(evidence, executions), tuple(differences))


Executions = Mapping[UUID, list[tuple[str, Execution]]]


def _executions(evidence: Evidence) -> Executions:
    found: dict[UUID, list[tuple[str, Execution]]] = {}
    for processor, journal in evidence.journals.items():
        for payment_id, executions in journal.items():
            found.setdefault(payment_id, []).extend((processor, each) for each in executions)
    return found


def _of_promises(evidence: Evidence) -> Iterator[Difference]:
    """I1 nothing lost, I2 nothing made up. Silent where no client's history was given."""
    if not evidence.asked:
        return
    asked = {each.payment_id: each for each in evidence.asked}
    on_its_way = any(evidence.waiting.values())
    for payment_id, each in asked.items():
        is_there = payment_id in evidence.ledger or _is_held(evidence, payment_id)
        if each.outcome == "ok" and not is_there and not on_its_way:
            yield Difference("lost", str(payment_id), "answered with 202, and in no store")
    for payment_id, posted in evidence.ledger.items():
        yield from _of_booking(payment_id, posted, asked.get(payment_id))


def _is_held(evidence: Evidence, payment_id: UUID) -> bool:
    is_attempted = any(each.state != "absent" for each in evidence.attempts.get(payment_id, ()))
    is_dead = payment_id in evidence.dead.values()
    return is_attempted or is_dead or payment_id in evidence.conflicts


def _of_booking(payment_id: UUID, posted: Posted, asked: Asked | None) -> Iterator[Difference]:
    who = str(payment_id)
    if asked is None:
        yield Difference("made up", who, "in the ledger, and no client asked for it")
    elif asked.outcome == "fail":
        yield Difference("refused but made", who, "in the ledger, and its client was refused")
    elif asked.outcome == "ok" and asked.amount_minor != posted.amount_minor:
        detail = f"asked for {asked.amount_minor}, booked {posted.amount_minor}"
        yield Difference("wrong amount", who, detail)


def _of_charges(evidence: Evidence, executions: Executions) -> Iterator[Difference]:
    """I3: at most one execution a payment over all processors, and none that we do not know."""
    for payment_id, made in executions.items():
        if len(made) > 1:
            where = " and ".join(f"{processor} {each.amount_minor}" for processor, each in made)
            yield Difference("charged twice", str(payment_id), f"executed by {where}")
        posted = evidence.ledger.get(payment_id)
        if posted is not None and posted.executed:
            continue
        if _is_on_its_way(evidence, payment_id):
            continue
        yield Difference("not completed", str(payment_id), f"executed by {made[0][0]}, not booked")


def _is_on_its_way(evidence: Evidence, payment_id: UUID) -> bool:
    attempts = evidence.attempts.get(payment_id, ())
    is_moving = any(evidence.waiting.values()) and any(each.state != "absent" for each in attempts)
    return is_moving or any(each.is_open for each in attempts)


def _of_completions(evidence: Evidence, executions: Executions) -> Iterator[Difference]:
    """I3 the other way: completed means executed, there, with that amount, at that time."""
    for payment_id, posted in evidence.ledger.items():
        if posted.executed and posted.processor in evidence.journals:
            made = executions.get(payment_id, [])
            yield from _of_completion(str(payment_id), posted, made)


def _of_completion(
    who: str, posted: Posted, made: list[tuple[str, Execution]]
) -> Iterator[Difference]:
    if not made:
        yield Difference("not executed", who, f"booked as executed by {posted.processor}")
        return
    there = next((each for processor, each in made if processor == posted.processor), None)
    if there is None:
        detail = f"booked at {posted.processor}, executed by {made[0][0]}"
        yield Difference("wrong processor", who, detail)
        return
    if there.amount_minor != posted.amount_minor:
        detail = f"booked {posted.amount_minor}, executed {there.amount_minor}"
        yield Difference("wrong amount", who, detail)
    if there.requested_at_ms != posted.requested_at_ms:
        detail = f"booked at {posted.requested_at_ms}, executed at {there.requested_at_ms}"
        yield Difference("wrong time", who, detail)


def _of_attempts(evidence: Evidence) -> Iterator[Difference]:
    """The attempt is the last record of a charge: the books say nothing that it does not."""
    for payment_id, posted in evidence.ledger.items():
        wanted = "executed" if posted.executed else "declined"
        booked = (wanted, posted.processor, posted.amount_minor)
        attempts = evidence.attempts.get(payment_id, ())
        if booked not in {(each.state, each.processor, each.amount_minor) for each in attempts}:
            detail = (
                f"booked {posted.amount_minor} as {wanted} by {posted.processor}, no attempt is"
            )
            yield Difference("unattempted", str(payment_id), detail)


def _of_read_model(evidence: Evidence) -> Iterator[Difference]:
    """I8: the read model is the fold of the facts."""
    if evidence.waiting.get("payment.posted", 0):
        return
    for payment_id, posted in evidence.ledger.items():
        seen = evidence.read_model.get(payment_id)
        if seen is None:
            yield Difference("stale read model", str(payment_id), "in the ledger only")
        elif seen != posted:
            detail = f"not as in the ledger: {_changed(posted, seen)}"
            yield Difference("stale read model", str(payment_id), detail)
    for payment_id in evidence.read_model.keys() - evidence.ledger.keys():
        yield Difference("stale read model", str(payment_id), "in the read model only")


def _changed(one: Struct, other: Struct) -> str:
    names = one.__struct_fields__
    return ", ".join(name for name in names if getattr(one, name) != getattr(other, name))


def _left_over(evidence: Evidence) -> Iterator[Difference]:
    for topic, count in evidence.waiting.items():
        if count:
            yield Difference("left over", topic, f"{count} not yet handled")
    for payment_id, attempts in evidence.attempts.items():
        for each in attempts:
            if each.is_open:
                detail = f"attempt at {each.processor} is {each.state}"
                yield Difference("left over", str(payment_id), detail)
            elif each.state in {"executed", "declined"} and payment_id not in evidence.ledger:
                detail = f"{each.state} by {each.processor}, and not in the ledger"
                yield Difference("unposted", str(payment_id), detail)
    for letter, about in evidence.dead.items():
        yield Difference("left over", str(about or "no payment"), f"dead letter {letter}")


def _counts(evidence: Evidence, executions: Executions) -> Mapping[str, int]:
    completed = sum(1 for posted in evidence.ledger.values() if posted.executed)
    return {
        "promised": _count(asked.outcome == "ok" for asked in evidence.asked),
        "completed": completed,
        "declined": len(evidence.ledger) - completed,
        "conflicts": len(evidence.conflicts),
        "dead": len(evidence.dead),
        "waiting": sum(evidence.waiting.values()),
        "open attempts": _count(
            each.is_open for attempts in evidence.attempts.values() for each in attempts
        ),
        "executions": sum(len(made) for made in executions.values()),
        **{f"executed by {name}": _lines_in(rows) for name, rows in evidence.journals.items()},
    }


def _lines_in(journal: Mapping[UUID, Iterable[Execution]]) -> int:
    return sum(1 for executions in journal.values() for _ in executions)


def _count(flags: Iterable[bool]) -> int:
    return sum(1 for flag in flags if flag)
