"""Messages to bytes and back: nothing is lost, nothing else is read, old bytes stay readable."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.payments import ID, messages, payment

from voltpay.core.codec import Unreadable, decode, encode
from voltpay.core.errors import Broken
from voltpay.core.messages import Message, PaymentAccepted


@given(messages)
def test_a_message_survives_the_log(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=64))
def test_other_bytes_are_unreadable_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(body)


@given(messages, st.data())
def test_a_message_cut_short_is_unreadable(message: Message, data: st.DataObject) -> None:
    body = encode(message)
    with pytest.raises(Unreadable):
        decode(body[: data.draw(st.integers(0, len(body) - 1))])


@pytest.mark.parametrize(
    "value",
    [
        ["refunded", []],
        ["accepted"],
        ["accepted", [str(ID), "1990", "USD", "alice", "shop", 1, b"print"]],
        ["accepted", [str(ID), 19.9, "USD", "alice", "shop", 1, b"print"]],
        ["accepted", ["no-uuid", 1990, "USD", "alice", "shop", 1, b"print"]],
    ],
    ids=["unknown kind", "nothing in it", "text as amount", "float as amount", "no id"],
)
def test_what_is_almost_a_message_is_unreadable(value: object) -> None:
    with pytest.raises(Unreadable):
        decode(msgspec.msgpack.encode(value))


def test_a_payment_of_the_first_version_is_still_read() -> None:
    fields = [str(ID), 1990, "USD", "alice", "shop", 1_700_000_000_000, bytes(56)]
    body = msgspec.msgpack.encode(["accepted", fields])
    assert decode(body) == PaymentAccepted(payment())


def test_a_field_of_a_later_version_is_passed_over() -> None:
    fields = msgspec.to_builtins(payment(), builtin_types=(bytes,))
    body = msgspec.msgpack.encode(["accepted", [*fields, "later"], "later"])
    assert decode(body) == PaymentAccepted(payment())


def test_what_is_unreadable_counts_against_the_message() -> None:
    assert issubclass(Unreadable, Broken)
