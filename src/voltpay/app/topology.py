"""The topics and the stages, as two tables: which message goes where, and who reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from voltpay.core.codec import encode
from voltpay.core.messages import (
    Message,
    PaymentAccepted,
    PaymentDead,
    PaymentDeferred,
    PaymentPosted,
    PaymentSettled,
)
from voltpay.core.payment import ordering_key
from voltpay.foundation.runtime.stages import Publisher
from voltpay.foundation.seams.log import Record, TopicRow

_NAME: Final = r"^[a-zA-Z0-9._-]{1,120}$"


class TopicNames(BaseModel):
    """What the topics are called on the log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: str = Field("payment.accepted", pattern=_NAME, description="Promised payments")
    deferred: str = Field("payment.deferred", pattern=_NAME, description="Not sent, not now")
    settled: str = Field("payment.settled", pattern=_NAME, description="Completed or declined")
    posted: str = Field("payment.posted", pattern=_NAME, description="The ledger has it")
    dead: str = Field("payment.dead", pattern=_NAME, description="Could not be handled")


@dataclass(frozen=True)
class Topic:
    """A row: its role name, its message, its key, whether it is mostly empty, what it holds."""

    name: str
    message: type[Message]
    ordered: bool
    quiet: bool
    what: str


@dataclass(frozen=True)
class Stage:
    """A row: a stage, the topics it reads by priority and those it writes, by role name."""

    name: str
    module: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    group: str
    role: str


TOPICS: Final = (
    Topic("accepted", PaymentAccepted, False, False, "a promise: the high-priority lane"),
    Topic("deferred", PaymentDeferred, False, True, "not sent, not now: the low-priority lane"),
    Topic("settled", PaymentSettled, True, False, "completed or declined, by account"),
    Topic("posted", PaymentPosted, True, False, "the ledger has it, by account"),
    Topic("dead", PaymentDead, False, True, "could not be handled"),
)

STAGES: Final = (
    Stage(
        "route",
        "voltpay.services.routing.route",
        ("accepted", "deferred"),
        ("settled", "deferred"),
        "routing",
        "routing",
    ),
    Stage("post", "voltpay.services.ledger.post", ("settled",), ("posted",), "ledger", "ledger"),
    Stage(
        "project", "voltpay.services.inquiry.project", ("posted",), (), "projection", "projection"
    ),
    Stage("shelve", "voltpay.services.dead.shelve", ("dead",), (), "dead", "projection"),
)


def stage_named(name: str) -> Stage:
    """The row of a stage."""
    return next(stage for stage in STAGES if stage.name == name)


def topics_of(stage: Stage, names: TopicNames) -> tuple[str, ...]:
    """What a stage reads, by the names on the log, the first the most urgent."""
    return tuple(getattr(names, name) for name in stage.reads)


def topic_rows(names: TopicNames) -> Sequence[TopicRow]:
    """The topics as the log has to prepare them, with the groups that read them."""
    return [
        TopicRow(
            getattr(names, topic.name),
            topic.ordered,
            tuple(stage.group for stage in STAGES if topic.name in stage.reads),
            topic.quiet,
        )
        for topic in TOPICS
    ]


def publisher(names: TopicNames) -> Publisher:
    """Turns messages into records of the topics that carry them."""
    by_type: Mapping[type[Message], str] = {
        topic.message: getattr(names, topic.name)
        for topic in TOPICS
        if any(topic.name in stage.reads for stage in STAGES)
    }

    def publish(messages: Sequence[Message]) -> Sequence[Record]:
        return [
            Record(
                by_type[type(message)], _key_of(message), message, encode(message), _closes(message)
            )
            for message in messages
            if type(message) in by_type
        ]

    return publish


def _key_of(message: Message) -> str:
    match message:
        case PaymentSettled(payment=payment):
            return ordering_key(payment)
        case PaymentPosted(settled=settled):
            return ordering_key(settled.payment)
        case _:
            return ""


def _closes(message: Message) -> str:
    return str(message.payment.id) if isinstance(message, PaymentSettled) else ""
