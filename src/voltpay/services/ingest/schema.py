"""The OpenAPI operation of `POST /payments`, whose handler is raw ASGI."""

from typing import Any, Final

from voltpay.core.ids import ACCOUNT, NAME
from voltpay.core.money import AMOUNT_MAX
from voltpay.foundation.runtime.http import PROBLEM_JSON
from voltpay.services.ingest.parse import DESCRIPTION_MAX, METADATA_KEYS_MAX, METADATA_TEXT_MAX

_REQUEST: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["correlationId", "amount"],
    "properties": {
        "correlationId": {
            "type": "string",
            "format": "uuid",
            "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
            "description": "The payment's id and idempotency key.",
        },
        "amount": {
            "description": "Major units, above 0, at most the currency's decimals.",
            "oneOf": [
                {
                    "type": "number",
                    "minimum": 0.01,
                    "maximum": AMOUNT_MAX // 100,
                    "multipleOf": 0.01,
                },
                {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,8})\.(0[1-9]|[1-9][0-9])$"},
            ],
        },
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217."},
        "accountId": {"type": "string", "pattern": ACCOUNT},
        "merchantId": {"type": "string", "pattern": NAME},
        "description": {"type": "string", "minLength": 1, "maxLength": DESCRIPTION_MAX},
        "email": {"type": "string", "format": "email", "maxLength": 254},
        "metadata": {
            "type": "object",
            "maxProperties": METADATA_KEYS_MAX,
            "propertyNames": {"minLength": 1, "maxLength": 40},
            "additionalProperties": {"type": "string", "maxLength": METADATA_TEXT_MAX},
        },
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


def operations(body_bytes_max: int) -> dict[str, dict[str, Any]]:
    """OpenAPI path items, by path."""
    problem = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    problems = {
        "400": "Malformed JSON",
        "408": "The body did not arrive in time",
        "413": f"A body above {body_bytes_max} bytes",
        "415": "Not application/json",
        "422": "A field is wrong, or the same id came with another payment",
        "503": "The log is away, full or slow: nothing was stored",
    }
    responses: dict[str, Any] = {
        status: {"description": text, "content": problem} for status, text in problems.items()
    }
    responses["202"] = {
        "description": "A promise: the payment is on disk and will be made, at most once",
        "headers": {
            "Location": {"schema": {"type": "string"}},
            "Idempotency-Replayed": {"schema": {"type": "string", "const": "true"}},
        },
        "content": {"application/json": {"schema": _ANSWER}},
    }
    return {
        "/payments": {
            "post": {
                "summary": "Accept a payment",
                "operationId": "AcceptPayment",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _REQUEST}},
                },
                "responses": responses,
            }
        }
    }
