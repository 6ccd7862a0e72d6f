"""The HTTP API against its own OpenAPI document, with right and with wrong requests."""

from collections import Counter, defaultdict

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData

EXAMPLES = 340
ANSWERS_MIN = 200
ACCEPTED_MIN = 20
SEED = 2025
CONFIG = {
    "seed": SEED,
    "continue-on-failure": True,
    "generation": {"mode": "all", "max-examples": EXAMPLES, "deterministic": True},
    "phases": {
        "fuzzing": {"extra-data-sources": {"responses": False}},
        "stateful": {"generation": {"max-examples": 10}},
    },
}
PROBLEM = "urn:voltpay:problem:"
BEYOND_A_SCHEMA = {
    ("malformed-cursor", "cursor"),
    ("reversed-window", "from to"),
    ("invalid-payment", "correlationId"),
    ("invalid-payment", "correlationId Idempotency-Key"),
}
"""What no schema can say: a cursor was given out before, two fields depend on each other."""


@pytest.fixture
def document(stack):
    return stack.call("GET", "/schema")[2]


def test_requests_right_and_wrong_are_answered_as_the_document_says(stack):
    config = SchemathesisConfig.from_dict(CONFIG)
    schema = schemathesis.openapi.from_url(f"{stack.url}/schema", config=config)
    schema.hook("filter_failure")(_is_a_failure)
    schema.hook("map_case")(_with_one_id)
    answers: Counter[int] = Counter()
    found, promised = [], defaultdict(set)
    for event in from_schema(schema.exclude(path="/purge-payments")).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.append(str(event))
        if isinstance(event, events.ScenarioFinished):
            found += _failures_of(event)
            for each in event.recorder.interactions.values():
                answers[each.response.status_code] += 1
                if each.response.status_code == 202:
                    promise = each.response.json()
                    content = promise["amount"], promise["currency"], promise["acceptedAt"]
                    promised[promise["correlationId"]].add(content)
    assert not found, "\n\n".join(dict.fromkeys(found))
    assert answers[202] > ACCEPTED_MIN
    assert answers[422] > ANSWERS_MIN
    assert answers[200] > ANSWERS_MIN
    assert promised
    assert all(len(contents) == 1 for contents in promised.values()), "one promise an id"
    assert not [status for status in answers if status >= 500]
    stack.until_status(stack.pay(1), "completed")


def test_no_request_body_takes_an_unknown_field(document):
    bodies = [
        (path, media["schema"])
        for path, item in document["paths"].items()
        for operation in item.values()
        for media in operation.get("requestBody", {}).get("content", {}).values()
    ]
    assert {path for path, _ in bodies} == {"/payments", "/dead-letters/{letter_id}/discard"}
    for path, schema in bodies:
        assert _resolved(schema, document)["additionalProperties"] is False, path


def test_the_document_is_the_same_for_every_reader_and_names_every_call(stack, document):
    assert stack.call("GET", "/schema")[2] == document
    calls = {(method, path) for path, item in document["paths"].items() for method in item}
    assert calls == {
        ("post", "/payments"),
        ("get", "/payments/{payment_id}"),
        ("get", "/payments/{payment_id}/status"),
        ("get", "/payments-summary"),
        ("get", "/accounts/{account_id}/balance"),
        ("get", "/accounts/{account_id}/transactions"),
        ("get", "/processors"),
        ("get", "/dead-letters"),
        ("get", "/dead-letters/{letter_id}"),
        ("post", "/dead-letters/{letter_id}/replay"),
        ("post", "/dead-letters/{letter_id}/discard"),
        ("post", "/purge-payments"),
    }


def test_every_answer_that_can_fail_is_a_documented_problem(document):
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], path
            assert "503" in operation["responses"], path


def _with_one_id(context, case):
    """A right request to pay names its payment once; drawn apart, two names never agree."""
    is_right = case.meta.generation.mode.is_positive
    if is_right and isinstance(case.body, dict) and "correlationId" in case.body:
        case.headers.pop("Idempotency-Key", None)
    return case


def _is_a_failure(context, failure, case, response):
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = response.json()
    slug = problem["type"].removeprefix(PROBLEM)
    is_repeat = slug == "conflicting-repeat"
    return not is_repeat and (slug, " ".join(problem["fields"])) not in BEYOND_A_SCHEMA


def _failures_of(event):
    return [
        f"{event.recorder.label}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
        for checks in event.recorder.checks.values()
        for check in checks
        if check.failure_info is not None
    ]


def _resolved(schema, document):
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema
