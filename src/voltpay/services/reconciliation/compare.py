"""Compare: pure; every difference is named with the payment it is about."""

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from msgspec import Struct

from voltpay.services.reconciliation.evidence import (
    Difference,
    Evidence,
    Execution,
    Posted,
    SummarySeen,
    Tally,
)
from voltpay.services.reconciliation.promises import of_promises
from voltpay.services.reconciliation.verdict import Verdict


def compare(evidence: Evidence, *, is_drained: bool = True) -> Verdict:
    """Hold the stores against each other. `is_drained`: nothing may be on its way any more."""
    executions = _executions(evidence)
    differences = [
        *evidence.anomalies,
        *of_promises(evidence),
        *_of_charges(evidence, executions),
        *_of_completions(evidence, executions),
        *_of_attempts(evidence),
        *_of_read_model(evidence),
        *_of_summaries(evidence),
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
    is_moving = payment_id in evidence.on_log and any(each.state != "absent" for each in attempts)
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


def _of_summaries(evidence: Evidence) -> Iterator[Difference]:
    """I7: what we say of a window is what the processors say, but for what is on its way."""
    settled = {
        processor: [
            execution
            for payment_id, executions in journal.items()
            if not _is_on_its_way(evidence, payment_id)
            for execution in executions
        ]
        for processor, journal in evidence.journals.items()
    }
    for seen in evidence.summaries:
        for processor, executions in settled.items():
            said, executed = seen.totals.get(processor), _tally(executions, seen)
            if said is not None and said != executed:
                who = f"{processor} {seen.from_ms}..{seen.to_ms}"
                detail = f"we say {said.count} payments of {said.amount_minor}, it says "
                detail += f"{executed.count} of {executed.amount_minor}"
                yield Difference("wrong answer", who, detail)


def _tally(executions: Iterable[Execution], seen: SummarySeen) -> Tally:
    amounts = [
        each.amount_minor
        for each in executions
        if seen.from_ms <= each.requested_at_ms <= seen.to_ms
    ]
    return Tally(len(amounts), sum(amounts))


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
            elif payment_id in evidence.ledger:
                continue
            elif each.state == "absent" and not each.carried_on:
                detail = f"absent at {each.processor}, and not passed on yet"
                yield Difference("left over", str(payment_id), detail)
            elif each.state in {"executed", "declined"}:
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
