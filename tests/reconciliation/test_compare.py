"""Comparing, pure: every kind of difference beside the evidence that adds up."""

import json
from uuid import uuid4

import pytest
from msgspec.structs import replace
from tests.reconciliation.evidences import (
    AT_MS,
    EXECUTION,
    ID,
    WAITING,
    altered,
    attempt,
    evidence,
    posted,
    without,
)

from voltpay.services.reconciliation.audits import AUDITS
from voltpay.services.reconciliation.compare import compare
from voltpay.services.reconciliation.evidence import (
    LIKELY_CAUSE,
    Asked,
    Difference,
    Execution,
    SummarySeen,
    Tally,
)
from voltpay.services.reconciliation.report import SHOWN_MAX, json_of, lines_of
from voltpay.services.reconciliation.verdict import Verdict, agreed


def found(one, **how):
    """(kind, who) of all differences, each of which has a likely cause."""
    verdict = compare(one, **how)
    assert all(each.detail and LIKELY_CAUSE[each.what] for each in verdict.differences)
    assert verdict.holds == (not verdict.differences)
    return {(each.what, each.who) for each in verdict.differences}


def on_its_way(topic="payment.settled"):
    return {**WAITING, topic: 1}


def test_what_adds_up_has_no_difference_and_is_counted():
    verdict = compare(evidence())
    assert verdict.holds
    assert verdict.counts == {
        "promised": 2,
        "completed": 1,
        "declined": 1,
        "conflicts": 0,
        "dead": 0,
        "waiting": 0,
        "open attempts": 0,
        "executions": 1,
        "executed by default": 1,
        "executed by fallback": 0,
    }


def test_a_promise_that_is_in_no_store_is_lost():
    who = uuid4()
    clean = evidence()
    lost = replace(clean, asked=[*clean.asked, Asked(who, 5, "ok")])
    assert found(lost) == {("lost", str(who))}
    for outcome in ("info", "fail"):
        assert found(replace(clean, asked=[*clean.asked, Asked(who, 5, outcome)])) == set()


@pytest.mark.parametrize(
    "held",
    [
        {"attempts": {ID: [attempt("unknown")]}},
        {"conflicts": frozenset({ID})},
        {"dead": {7: ID}},
        {"on_log": frozenset({ID})},
        {"discarded": frozenset({ID})},
    ],
)
def test_a_promise_that_some_store_holds_is_not_lost(held):
    one = evidence(journals={"default": {}, "fallback": {}})
    one = replace(
        one,
        ledger=without(one.ledger),
        read_model=without(one.read_model),
        attempts=without(one.attempts),
    )
    assert ("lost", str(ID)) in found(one)
    held = {
        name: {**getattr(one, name), **rows} if isinstance(rows, dict) else rows
        for name, rows in held.items()
    }
    assert found(replace(one, **held), is_drained=False) == set()


def test_what_the_intake_promised_is_missed_without_any_client():
    who = uuid4()
    clean = replace(evidence(), asked=())
    lost = replace(clean, promised=frozenset({ID, who}))
    assert found(lost) == {("lost", str(who))}
    assert found(replace(lost, on_log=frozenset({who}))) == set()


def test_one_id_that_was_promised_with_two_amounts_was_promised_twice():
    clean = evidence()
    asked = [each for each in clean.asked if each.payment_id != ID]
    twice = replace(clean, asked=[*asked, Asked(ID, 1990, "ok", frozenset({2000}))])
    assert found(twice) == {("promised twice", str(ID))}
    assert found(replace(twice, conflicts=frozenset({ID}))) == set()


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "count"),
    [(AT_MS, AT_MS, 1), (AT_MS + 1, AT_MS + 9, 0), (AT_MS - 9, AT_MS - 1, 0)],
)
def test_a_summary_that_the_processor_contradicts_is_a_wrong_answer(from_ms, to_ms, count):
    def said(number):
        totals = {"default": Tally(number, 1990 * number), "fallback": Tally(0, 0)}
        return replace(evidence(), summaries=[SummarySeen(from_ms, to_ms, totals)])

    assert found(said(count)) == set()
    assert found(said(count + 1)) == {("wrong answer", f"default {from_ms}..{to_ms}")}


def test_an_attempt_that_is_proven_absent_holds_no_promise():
    one = evidence(journals={"default": {}, "fallback": {}})
    one = replace(one, ledger=without(one.ledger), read_model=without(one.read_model))
    assert found(altered(one, attempts={ID: [attempt("absent")]})) == {("lost", str(ID))}


def test_a_payment_that_is_proven_absent_and_not_passed_on_yet_is_left_over_and_not_lost():
    one = evidence(journals={"default": {}, "fallback": {}})
    one = replace(one, ledger=without(one.ledger), read_model=without(one.read_model))
    held = altered(one, attempts={ID: [attempt("absent", carried_on=False)]})
    assert found(held) == {("left over", str(ID))}
    assert found(held, is_drained=False) == set()
    booked = altered(evidence(), attempts={ID: [attempt("absent", carried_on=False), attempt()]})
    assert found(booked) == set()


def test_what_nobody_asked_for_is_made_up():
    clean = evidence()
    nobody = replace(clean, asked=[each for each in clean.asked if each.payment_id != ID])
    assert found(nobody) == {("made up", str(ID))}
    assert found(replace(clean, asked=())) == set()


def test_what_was_refused_must_not_be_made():
    clean = evidence()
    asked = [each for each in clean.asked if each.payment_id != ID]
    refused = replace(clean, asked=[*asked, Asked(ID, 1990, "fail")])
    assert found(refused) == {("refused but made", str(ID))}
    assert found(replace(clean, asked=[*asked, Asked(ID, 1990, "info")])) == set()


def test_another_amount_than_was_asked_for_is_wrong():
    clean = evidence()
    asked = [each for each in clean.asked if each.payment_id != ID]
    assert found(replace(clean, asked=[*asked, Asked(ID, 2000, "ok")])) == {
        ("wrong amount", str(ID))
    }


@pytest.mark.parametrize("second", ["default", "fallback"])
def test_two_executions_of_one_payment_are_one_too_many(second):
    journals = {"default": {ID: [EXECUTION]}, "fallback": {}}
    journals[second] = {ID: [*journals[second].get(ID, []), EXECUTION]}
    assert found(evidence(journals=journals)) == {("charged twice", str(ID))}


def test_an_execution_of_what_is_declined_or_unknown_is_not_completed():
    clean = evidence()
    no = {ID: posted(executed=False)}
    declined = altered(clean, ledger=no, read_model=no, attempts={ID: [attempt("declined")]})
    assert found(declined) == {("not completed", str(ID))}
    stray = altered(clean, journals={"fallback": {(who := uuid4()): [EXECUTION]}})
    assert found(stray) == {("not completed", str(who))}


def test_an_execution_whose_outcome_is_on_its_way_is_no_difference_yet():
    clean = evidence()
    one = replace(clean, ledger=without(clean.ledger), read_model=without(clean.read_model))
    unknown = altered(one, attempts={ID: [attempt("unknown")]})
    assert found(unknown, is_drained=False) == set()
    moving = replace(one, on_log=frozenset({ID}))
    assert found(moving, is_drained=False) == set()
    assert ("not completed", str(ID)) in found(one)


def test_a_completion_without_any_execution_is_not_executed():
    assert found(evidence(journals={"default": {}, "fallback": {}})) == {("not executed", str(ID))}


def test_a_processor_whose_journal_is_not_given_is_believed():
    assert found(evidence(journals={"fallback": {}})) == set()


def test_a_completion_by_another_processor_is_attributed_wrongly():
    journals = {"default": {}, "fallback": {ID: [EXECUTION]}}
    assert found(evidence(journals=journals)) == {("wrong processor", str(ID))}


def test_another_amount_than_the_processor_booked_is_wrong():
    journals = {"default": {ID: [Execution(1991, AT_MS)]}, "fallback": {}}
    assert found(evidence(journals=journals)) == {("wrong amount", str(ID))}


def test_another_time_than_the_processor_booked_is_wrong():
    journals = {"default": {ID: [Execution(1990, AT_MS + 1)]}, "fallback": {}}
    assert found(evidence(journals=journals)) == {("wrong time", str(ID))}


@pytest.mark.parametrize(
    "attempts",
    [
        [],
        [attempt("absent")],
        [attempt("declined")],
        [attempt(processor="fallback")],
        [attempt(amount_minor=1991)],
    ],
)
def test_a_booking_that_no_attempt_bears_out_is_unattempted(attempts):
    assert found(altered(evidence(), attempts={ID: attempts})) == {("unattempted", str(ID))}


def test_an_earlier_attempt_that_came_to_nothing_is_no_difference():
    attempts = [attempt("absent", processor="fallback"), attempt()]
    assert found(altered(evidence(), attempts={ID: attempts})) == set()


def test_a_read_model_without_the_payment_or_with_one_more_is_stale():
    clean = evidence()
    stale = {("stale read model", str(ID))}
    assert found(replace(clean, read_model=without(clean.read_model))) == stale
    who = uuid4()
    more = altered(clean, read_model={who: posted()})
    assert found(more) == {("stale read model", str(who))}


@pytest.mark.parametrize(
    "change",
    [
        {"processor": "fallback"},
        {"amount_minor": 1991},
        {"currency": 840},
        {"executed": False},
        {"requested_at_ms": AT_MS + 1},
        {"fee_minor": 101},
        {"sequence": 2},
    ],
)
def test_a_read_model_that_differs_in_any_field_is_stale_and_says_in_which(change):
    verdict = compare(altered(evidence(), read_model={ID: posted(**change)}))
    (difference,) = verdict.differences
    assert (difference.what, difference.who) == ("stale read model", str(ID))
    assert next(iter(change)) in difference.detail


def test_a_read_model_that_posted_facts_are_on_their_way_to_is_not_judged():
    clean = evidence(waiting=on_its_way("payment.posted"))
    stale = replace(clean, read_model=without(clean.read_model))
    assert found(stale, is_drained=False) == set()


@pytest.mark.parametrize("state", ["sending", "unknown", "parked"])
def test_after_a_drain_nothing_may_be_open(state):
    who = uuid4()
    one = altered(evidence(), attempts={who: [attempt(state)]})
    assert found(one) == {("left over", str(who))}
    assert found(one, is_drained=False) == set()
    assert compare(one).counts["open attempts"] == 1


@pytest.mark.parametrize("state", ["executed", "declined"])
def test_after_a_drain_every_settled_attempt_is_in_the_ledger(state):
    who = uuid4()
    one = altered(evidence(), attempts={who: [attempt(state)]})
    assert found(one) == {("unposted", str(who))}


def test_after_a_drain_nothing_may_wait():
    one = evidence(waiting=on_its_way())
    assert found(one) == {("left over", "payment.settled")}
    assert found(one, is_drained=False) == set()


def test_after_a_drain_nothing_may_be_dead_whether_or_not_its_payment_is_known():
    assert found(evidence(dead={7: ID, 8: None})) == {
        ("left over", str(ID)),
        ("left over", "no payment"),
    }


def test_what_the_database_tells_of_itself_is_passed_on():
    odd = Difference("unbalanced entry", "somebody", "1 left over")
    assert compare(evidence(anomalies=[odd])).differences == (odd,)


def test_every_audit_has_a_likely_cause():
    assert AUDITS.keys() <= LIKELY_CAUSE.keys()


def test_two_looks_agree_only_on_what_both_have():
    real, early, late = (Difference(what, "x", "d") for what in ("lost", "unposted", "left over"))
    first, second = Verdict({"n": 1}, (early, real)), Verdict({"n": 2}, (real, late))
    assert agreed(first, second) == Verdict({"n": 2}, (real,))
    assert not agreed(first, second).holds
    assert agreed(Verdict({}, (early,)), second).holds


def test_the_report_says_that_it_adds_up():
    text = "\n".join(lines_of(compare(evidence())))
    assert "It adds up, id by id" in text
    assert "NOT" not in text


def test_the_verdict_as_json_has_every_difference_with_its_likely_cause():
    who = [uuid4() for _ in range(SHOWN_MAX + 3)]
    clean = evidence()
    many = replace(clean, asked=[*clean.asked, *(Asked(each, 5, "ok") for each in who)])
    told = json.loads(json_of(compare(many)))
    assert [each["who"] for each in told["differences"]] == [str(each) for each in who]
    assert {each["likelyCause"] for each in told["differences"]} == {LIKELY_CAUSE["lost"]}
    assert (told["holds"], told["counts"]["completed"]) == (False, 1)


def test_the_report_names_each_difference_its_kind_and_its_likely_cause():
    who = [uuid4() for _ in range(SHOWN_MAX + 3)]
    clean = evidence()
    many = replace(clean, asked=[*clean.asked, *(Asked(each, 5, "ok") for each in who)])
    lines = list(lines_of(compare(many)))
    assert f"It does NOT add up: {len(who)} differences." in lines
    assert f"  lost: {len(who)}; likely cause: {LIKELY_CAUSE['lost']}" in lines
    named = [line for line in lines if line.startswith("    lost")]
    assert len(named) == SHOWN_MAX
    assert str(who[0]) in named[0]
    assert lines[-1].endswith("3 more: --json FILE has all")
