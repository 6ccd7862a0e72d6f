"""Identifiers: read strictly, so that one payment has one name."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltpay.core.ids import (
    anonymous_account_of,
    is_name,
    payment_id_of,
    payment_id_of_key,
)


@given(st.uuids())
def test_the_canonical_form_is_read_in_either_case(uuid: UUID) -> None:
    assert payment_id_of(str(uuid)) == uuid
    assert payment_id_of(str(uuid).upper()) == uuid


@given(st.uuids())
def test_other_forms_of_the_same_uuid_are_not_read(uuid: UUID) -> None:
    forms = [uuid.hex, f"{{{uuid}}}", uuid.urn, f" {uuid}", f"{uuid}\n", str(uuid)[:-1]]
    assert [payment_id_of(form) for form in forms] == [None] * len(forms)


@pytest.mark.parametrize(
    "text", ["", "no", "0192f0c1-2a3b-4c5d-8e6f-708192a3b4cg", "\u0660" * 8 + str(uuid4())[8:]]
)
def test_what_is_no_uuid_is_not_read(text: str) -> None:
    assert payment_id_of(text) is None


@given(st.text(), st.text())
def test_a_key_stands_for_one_id(one: str, other: str) -> None:
    assert payment_id_of_key(one) == payment_id_of_key(one)
    assert (payment_id_of_key(one) == payment_id_of_key(other)) == (one == other)


def test_the_id_of_a_key_never_changes() -> None:
    assert str(payment_id_of_key("order-1")) == "99f7de27-2b83-5f66-aece-39373fa655ec"
    assert payment_id_of_key("order-1").version == 5


@pytest.mark.parametrize("text", ["a", "0", "alice.b_c:d-e", "A" * 64])
def test_a_name_is_accepted(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["", ".a", "-a", "a" * 65, "a b", "a\n", "ä", "a/b", "a'b", "\u0661"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    assert not is_name(text)


def test_the_anonymous_account_of_a_merchant_is_a_name_of_its_own() -> None:
    assert anonymous_account_of("shop") == "anonymous:shop"
    assert anonymous_account_of("shop") != anonymous_account_of("store")
