"""A payment's life: its account, its order, its end."""

from tests.core.payments import ID, payment

from voltpay.core.payment import FINGERPRINT_FIELDS, Status, account_of, ordering_key


def test_payments_of_an_account_keep_their_order_by_it() -> None:
    assert ordering_key(payment(account_id="alice")) == "alice"
    assert account_of(payment(account_id="alice")) == "alice"


def test_a_payment_without_an_account_is_ordered_alone_and_booked_to_its_merchant() -> None:
    lonely = payment(account_id="", merchant_id="shop")
    assert ordering_key(lonely) == str(ID)
    assert account_of(lonely) == "anonymous:shop"


def test_only_the_ends_are_terminal() -> None:
    assert {status for status in Status if status.is_terminal} == {Status.COMPLETED, Status.FAILED}


def test_a_fingerprint_covers_every_field_that_a_repeat_may_not_change() -> None:
    assert len(FINGERPRINT_FIELDS) == len(set(FINGERPRINT_FIELDS)) == 7
