"""The topology: every message has its topic, every topic its reader, and names are settings."""

import subprocess
import sys

import pytest
from tests.core.payments import ID, payment, posted, settled

from voltpay.app.topology import (
    STAGES,
    TOPICS,
    TopicNames,
    publisher,
    stage_named,
    topic_rows,
    topics_of,
)
from voltpay.core.codec import decode
from voltpay.core.messages import Message, PaymentAccepted, PaymentDeferred

NAMES = TopicNames(settled="payment_writer_topic", posted="payment_read_topic")


def record_of(message):
    (record,) = publisher(NAMES)([message])
    return record


def test_every_message_has_one_topic_and_every_topic_a_reader():
    assert {topic.message for topic in TOPICS} == set(Message.__args__)
    read = {name for stage in STAGES for name in stage.reads}
    assert read == {topic.name for topic in TOPICS} == set(TopicNames.model_fields)


def test_what_a_stage_writes_is_a_topic():
    assert {name for stage in STAGES for name in stage.writes} <= {each.name for each in TOPICS}


def test_every_stage_is_the_module_that_it_names():
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    names = [stage.module for stage in STAGES]
    subprocess.run([sys.executable, "-c", code, *names], check=True)


def test_names_of_the_settings_are_those_on_the_log():
    assert [row.name for row in topic_rows(NAMES)] == [
        "payment.accepted",
        "payment.deferred",
        "payment_writer_topic",
        "payment_read_topic",
        "payment.dead",
    ]
    assert topics_of(stage_named("post"), NAMES) == ("payment_writer_topic",)
    assert topics_of(stage_named("route"), NAMES) == ("payment.accepted", "payment.deferred")
    assert record_of(settled()).topic == "payment_writer_topic"
    assert record_of(posted(settled())).topic == "payment_read_topic"


def test_a_topic_is_prepared_for_the_groups_of_all_its_readers():
    rows = {row.name: (row.ordered, row.groups) for row in topic_rows(TopicNames())}
    assert rows == {
        "payment.accepted": (False, ("routing",)),
        "payment.deferred": (False, ("routing",)),
        "payment.settled": (True, ("ledger",)),
        "payment.posted": (True, ("projection",)),
        "payment.dead": (False, ("dead",)),
    }


@pytest.mark.parametrize("of", [settled, lambda **fields: posted(settled(**fields))])
def test_facts_are_keyed_by_account_or_without_one_by_payment(of):
    assert record_of(of()).key == "alice"
    assert record_of(of(payment=payment(account_id=""))).key == str(ID)


def test_promises_are_not_keyed():
    assert record_of(PaymentAccepted(payment())).key == ""
    assert record_of(PaymentDeferred(payment(), "no room")).key == ""


def test_only_settling_begins_the_repeat_window():
    assert record_of(settled()).closes == str(ID)
    assert record_of(PaymentAccepted(payment())).closes == ""
    assert record_of(posted(settled())).closes == ""


def test_a_record_holds_the_message_and_its_bytes_in_the_order_given():
    messages = [PaymentAccepted(payment()), settled(), PaymentDeferred(payment(), "no room")]
    records = publisher(NAMES)(messages)
    assert [record.message for record in records] == messages
    assert [decode(record.body) for record in records] == messages
