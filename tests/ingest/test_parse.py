"""Reading a request strictly: what is accepted, and how each refusal names its field."""

from uuid import UUID

import pytest

from voltpay.core.ids import payment_id_of_key
from voltpay.services.ingest.parse import Invalid, Malformed, parse

ID = "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3"


def body(amount="19.90", **more):
    fields = {"correlationId": f'"{ID}"', "amount": amount, **more}
    return ("{" + ",".join(f'"{k}":{v}' for k, v in fields.items() if v is not None) + "}").encode()


def parsed(raw, key=None, currency="EUR"):
    return parse(raw, key, currency)


def test_the_smallest_request_is_an_id_and_an_amount():
    request = parsed(body())
    assert request.id == UUID(ID)
    assert (request.amount_minor, request.currency.code) == (1990, "EUR")
    assert (request.account_id, request.email, request.metadata) == ("", "", b"")


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("19.90", "EUR", 1990),
        ('"19.90"', "EUR", 1990),
        ("19.9", "EUR", 1990),
        ("1e2", "EUR", 10000),
        ("0.01", "EUR", 1),
        ("10", "JPY", 10),
        ("1.234", "BHD", 1234),
        ("9999999999.99", "EUR", 999_999_999_999),
    ],
)
def test_an_amount_is_read_exactly_in_the_currency_s_minor_units(amount, currency, minor):
    assert parsed(body(amount, currency=f'"{currency}"')).amount_minor == minor


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0", "EUR"),
        ("-1", "EUR"),
        ("0.001", "EUR"),
        ("19.9" + "0" * 38 + "9", "EUR"),
        ("1." + "0" * 90 + "1", "EUR"),
        ("10.5", "JPY"),
        ("1.2345", "BHD"),
        ("10000000000", "EUR"),
        ("9007199254740993", "EUR"),
        ("1e999", "EUR"),
        ("1e-999", "EUR"),
        ("1e999999999999", "EUR"),
        ("9" * 5000, "EUR"),
        ('"1e2"', "EUR"),
        ('"NaN"', "EUR"),
        ('"-1"', "EUR"),
        ('" 1"', "EUR"),
        ('"١٢"', "EUR"),
        ("true", "EUR"),
        ("null", "EUR"),
        ("[1]", "EUR"),
        (None, "EUR"),
    ],
)
def test_an_amount_that_cannot_be_charged_exactly_is_refused_by_name(amount, currency):
    with pytest.raises(Invalid) as refusal:
        parsed(body(amount, currency=f'"{currency}"'))
    assert refusal.value.fields == ("amount",)
    assert refusal.value.status == 422


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 1, "amount": 1}',
        b'{"metadata": {"a": "1", "a": "2"}}',
        b'{"a":' * 8_000 + b"1" + b"}" * 8_000,
        b"[" * 16_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_bytes_that_are_no_json_object_are_malformed(raw):
    with pytest.raises(Malformed) as refusal:
        parsed(raw)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("correlationId", '"not-a-uuid"'),
        ("correlationId", f'"{{{ID}}}"'),
        ("correlationId", f'"{ID.replace("-", "")}"'),
        ("correlationId", f'"urn:uuid:{ID}"'),
        ("correlationId", "7"),
        ("correlationId", "null"),
        ("currency", '"EURO"'),
        ("currency", '"eur"'),
        ("currency", '"XXX"'),
        ("currency", "978"),
        ("accountId", '""'),
        ("accountId", '"has space"'),
        ("accountId", f'"{"a" * 65}"'),
        ("accountId", '"anonymous:shop"'),
        ("merchantId", "null"),
        ("description", f'"{"d" * 501}"'),
        ("description", '"nul\\u0000"'),
        ("description", '"half \\ud800"'),
        ("email", '"nobody"'),
        ("email", '"a@next\u0085line"'),
        ("email", '"a@mark\ufeff"'),
        ("metadata", '"text"'),
    ],
)
def test_a_field_that_is_wrong_is_named(field, value):
    with pytest.raises(Invalid) as refusal:
        parsed(body(**{field: value}))
    assert refusal.value.fields == (field,)


def test_brackets_inside_of_a_text_are_no_nesting():
    text = '"' + r"\"" + "[{" * 100 + '"'
    assert parsed(body(description=text)).description == '"' + "[{" * 100


def test_an_unknown_field_is_named():
    with pytest.raises(Invalid) as refusal:
        parsed(body(ammount="1"))
    assert refusal.value.fields == ("ammount",)


def test_a_metadata_value_that_is_no_text_is_named_by_its_key():
    with pytest.raises(Invalid) as refusal:
        parsed(body(metadata='{"order": 7}'))
    assert refusal.value.fields == ("metadata.order",)


def test_an_upper_case_uuid_is_the_same_payment():
    assert parsed(body(correlationId=f'"{ID.upper()}"')).id == UUID(ID)


@pytest.mark.parametrize("key", ["order-7", '"order-7"'])
def test_an_idempotency_key_stands_in_for_the_id_quoted_or_bare(key):
    assert parsed(b'{"amount": 1}', key).id == payment_id_of_key("order-7")


def test_without_an_id_or_a_key_the_id_is_missing():
    with pytest.raises(Invalid) as refusal:
        parsed(b'{"amount": 1}')
    assert refusal.value.fields == ("correlationId",)


def test_a_key_and_an_id_that_name_different_payments_are_both_named():
    with pytest.raises(Invalid) as refusal:
        parsed(body(), "order-7")
    assert refusal.value.fields == ("correlationId", "Idempotency-Key")
    assert parsed(body(), ID).id == UUID(ID)


@pytest.mark.parametrize("key", ["", "a b\tc", '"open', "x" * 256])
def test_a_key_that_is_no_key_is_refused(key):
    with pytest.raises(Invalid) as refusal:
        parsed(b'{"amount": 1}', key)
    assert refusal.value.fields == ("Idempotency-Key",)
