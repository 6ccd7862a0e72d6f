"""What each message proves about a payment, and which one knows more."""

import pytest
from tests.core.payments import ID, payment, posted, settled

from voltpay.core.messages import (
    Message,
    PaymentAccepted,
    PaymentDead,
    PaymentDeferred,
    processing,
    standing_of,
)
from voltpay.core.payment import Status

DEAD = PaymentDead("payment.settled", "", "post", 0, 7, b"", "Broken", 3, 1, str(ID))


@pytest.mark.parametrize(
    ("message", "status", "detail"),
    [
        (PaymentAccepted(payment()), Status.QUEUED, "accepted"),
        (PaymentDeferred(payment(), "all breakers are open"), Status.PROCESSING, "deferred"),
        (settled(executed=True), Status.COMPLETED, "executed"),
        (settled(executed=False, declined="no funds"), Status.FAILED, "declined"),
        (posted(settled(executed=True)), Status.COMPLETED, "executed"),
        (posted(settled(executed=False)), Status.FAILED, "declined"),
        (DEAD, Status.FAILED, "dead"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_message_proves_a_state(message: Message, status: Status, detail: str) -> None:
    payment_id, standing = standing_of(message)
    assert payment_id == str(ID)
    assert (standing.status, standing.detail) == (status, detail)


def test_a_later_message_has_a_higher_rank() -> None:
    life: list[Message] = [PaymentAccepted(payment()), PaymentDeferred(payment(), "full"), DEAD]
    life += [settled(), posted(settled())]
    ranks = [standing_of(message)[1].rank for message in life]
    assert ranks == sorted(set(ranks))


def test_charging_and_unknown_rank_as_deferred_does() -> None:
    deferred = standing_of(PaymentDeferred(payment(), "full"))[1]
    assert processing("charging").rank == processing("unknown").rank == deferred.rank
    assert processing("unknown").status is Status.PROCESSING


def test_a_dead_letter_that_nobody_could_read_names_no_payment() -> None:
    unread = PaymentDead("payment.accepted", "", "route", 0, 1, b"?", "Unreadable", 3, 1)
    assert standing_of(unread)[0] == ""
