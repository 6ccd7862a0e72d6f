"""The OpenAPI operation of `POST /payments`, whose handler is raw ASGI."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from voltpay.core.ids import ACCOUNT, NAME
from voltpay.core.money import AMOUNT_MAX, CURRENCIES
from voltpay.foundation.runtime.http import PROBLEM_JSON
from voltpay.services.ingest.parse import (
    DESCRIPTION_MAX,
    EMAIL,
    METADATA_KEYS_MAX,
    METADATA_TEXT_MAX,
)

_STORABLE: Final = r"^[^\u0000]*$"
_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Quoted or bare; stands in for `correlationId`, which is then its UUIDv5.",
    "schema": {
        "type": "string",
        "pattern": r'^("[\u0020-\u0021\u0023-\u007e]{1,255}"|[\u0021\u0023-\u007e]{1,255})$',
    },
}
_ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["correlationId", "status", "amount", "currency", "acceptedAt"],
    "properties": {
        "correlationId": {"type": "string", "format": "uuid"},
        "status": {"type": "string", "const": "queued"},
        "amount": {"type": "number"},
        "currency": {"type": "string"},
        "acceptedAt": {"type": "string", "format": "date-time"},
    },
}
_PROBLEMS: Final = {
    "400": "Malformed JSON, a query parameter, or a repeated header",
    "408": "The body did not arrive in time",
    "413": "The body is too large",
    "415": "Not application/json",
    "422": "A field is wrong, or the same id came with another payment",
    "503": "The log is away, full or slow: nothing was stored",
}


_QUESTIONS: Final = {
    "payment": "PaymentsPaymentIdGetPayment",
    "status": "PaymentsPaymentIdStatusGetStatus",
}
_TEXTS: Final[dict[str, Any]] = {
    "accountId": {"type": "string", "pattern": ACCOUNT},
    "merchantId": {"type": "string", "pattern": NAME},
    "description": {
        "type": "string",
        "pattern": _STORABLE,
        "minLength": 1,
        "maxLength": DESCRIPTION_MAX,
    },
    "email": {"type": "string", "pattern": EMAIL},
    "metadata": {
        "type": "object",
        "maxProperties": METADATA_KEYS_MAX,
        "propertyNames": {"pattern": _STORABLE, "minLength": 1, "maxLength": 40},
        "additionalProperties": {
            "type": "string",
            "pattern": _STORABLE,
            "maxLength": METADATA_TEXT_MAX,
        },
    },
}


def operations(body_bytes_max: int, takes: Callable[[str], bool]) -> dict[str, dict[str, Any]]:
    """OpenAPI path items, by path. `takes` says which currencies a payment may have."""
    request = _request([code for code in CURRENCIES if takes(code)])
    accept = {
        "summary": "Accept a payment",
        "operationId": "AcceptPayment",
        "tags": ["payments"],
        "parameters": [_KEY],
        "requestBody": {
            "required": True,
            "description": f"At most {body_bytes_max} bytes",
            "content": {"application/json": {"schema": request}},
        },
        "responses": _responses(),
    }
    return {"/payments": {"post": accept}}


def _request(codes: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["amount"],
        "properties": {
            "correlationId": {
                "type": "string",
                "format": "uuid",
                "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
                "description": "The payment's id. Required without an Idempotency-Key.",
            },
            "amount": {
                "description": "Major units, above 0, at most the currency's decimals.",
                "oneOf": _amounts(max(CURRENCIES[code].decimals for code in codes or CURRENCIES)),
            },
            "currency": {"type": "string", "enum": codes, "description": "ISO 4217."},
            **_TEXTS,
        },
    }


def _amounts(decimals: int) -> list[dict[str, Any]]:
    unit, most = (Decimal(minor).scaleb(-decimals) for minor in (1, AMOUNT_MAX))
    units = len(str(AMOUNT_MAX)) - decimals
    fraction = rf"\.[0-9]{{1,{decimals}}}0{{0,20}}" if decimals else r"\.0{1,20}"
    return [
        {"type": "number", "minimum": unit, "maximum": most, "multipleOf": unit},
        {"type": "string", "pattern": rf"^(?=.*[1-9])0{{0,15}}[0-9]{{1,{units}}}({fraction})?$"},
    ]


def _responses() -> dict[str, Any]:
    problem = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    refusals = {
        status: {"description": text, "content": problem} for status, text in _PROBLEMS.items()
    }
    id_of_answer = {"payment_id": "$response.body#/correlationId"}
    promise = {
        "description": "A promise: the payment is on disk and will be made, at most once",
        "headers": {
            "Location": {"schema": {"type": "string"}},
            "Idempotency-Replayed": {"schema": {"type": "string", "const": "true"}},
        },
        "content": {"application/json": {"schema": _ANSWER}},
        "links": {
            name: {"operationId": asked, "parameters": id_of_answer}
            for name, asked in _QUESTIONS.items()
        },
    }
    return {"202": promise, **refusals}
