"""What the questions take: parts of paths, queries and headers, and what each may be."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from voltpay.core.errors import Rejected
from voltpay.core.ids import ANONYMOUS, NAME, PaymentId, is_name, payment_id_of
from voltpay.core.money import CURRENCIES
from voltpay.core.payment import Status
from voltpay.foundation.engines.postgres.positions import parsed, reading, shown
from voltpay.foundation.runtime.http import BadRequest

_EXAMPLE: Final = "2026-01-31T12:00:00.250Z"
_POSITION: Final = "Voltpay-Position"

Id = Annotated[
    str, PathParameter(description="The payment's correlationId", schema_extra={"format": "uuid"})
]
Account = Annotated[
    str,
    PathParameter(
        description="The account, or `anonymous:` and a merchant for payments without one",
        schema_extra={"pattern": f"^({ANONYMOUS})?{NAME[1:]}"},
    ),
]
Since = Annotated[
    str | None,
    QueryParameter(
        name="from",
        description=f"Earliest time of the charge, inclusive: RFC 3339 with a zone, {_EXAMPLE}",
        schema_extra={"format": "date-time"},
    ),
]
Until = Annotated[
    str | None,
    QueryParameter(
        name="to",
        description="Latest time of the charge, inclusive to the millisecond",
        schema_extra={"format": "date-time"},
    ),
]
CurrencyCode = Annotated[
    str | None,
    QueryParameter(
        name="currency",
        description="ISO 4217 alphabetic code",
        schema_extra={"enum": sorted(CURRENCIES)},
    ),
]
Outcome = Annotated[
    str | None, QueryParameter(name="status", schema_extra={"enum": ["completed", "failed"]})
]
CacheControl = Annotated[
    str | None,
    HeaderParameter(name="Cache-Control", description="`no-cache` reads past the cache"),
]
After = Annotated[
    str | None,
    HeaderParameter(
        name="Voltpay-After",
        description="From books at this `Voltpay-Position` at least; `0`: tell the position",
        schema_extra={"pattern": "^[0-9a-fA-F]{1,16}$"},
    ),
]
POSITION_HEADER: Final = ResponseHeader(
    name=_POSITION,
    documentation_only=True,
    description="Where the books stood that this was read from, if `Voltpay-After` was sent",
)


@contextmanager
def at_least(after: str | None) -> Iterator[dict[str, str]]:
    """Within: books are read at this position at least. Gives headers, to be filled by the end."""
    position = None if after is None else parsed(after)
    if after is not None and position is None:
        raise BadRequest(
            "a position is up to 16 hexadecimal digits, as in 15D6B70", fields=("Voltpay-After",)
        )
    headers: dict[str, str] = {}
    with reading(position) as one:
        yield headers
        if one is not None:
            headers[_POSITION] = shown(max(one.seen, one.after))


class UnknownCurrencyAsked(Rejected):
    """`currency` is no alphabetic code of ISO 4217."""

    slug = "unknown-currency"
    title = "The currency is unknown"


def id_of(text: str) -> PaymentId:
    """The id that a path names. Raises BadRequest."""
    found = payment_id_of(text)
    if found is None:
        raise BadRequest("a payment's id is a hyphenated UUID", fields=("correlationId",))
    return found


def account_of(text: str) -> str:
    """The account that a path names. Raises BadRequest."""
    if not is_name(text.removeprefix(ANONYMOUS)):
        raise BadRequest("no name of an account", fields=("accountId",))
    return text


def currency_of(code: str) -> str:
    """The currency asked for. Raises UnknownCurrencyAsked."""
    if code not in CURRENCIES:
        raise UnknownCurrencyAsked("no currency of ISO 4217", fields=("currency",))
    return code


def is_completed(status: str) -> bool:
    """Whether completed payments are asked for. Raises BadRequest."""
    if status not in {Status.COMPLETED, Status.FAILED}:
        raise BadRequest("a posted payment is completed or failed", fields=("status",))
    return status == Status.COMPLETED


def is_past(cache_control: str | None, after: str | None) -> bool:
    """Whether the cache is to be passed by: for `no-cache`, and for what must be at a position."""
    directives = (cache_control or "").lower().split(",")
    no_cache = "no-cache" in {directive.strip() for directive in directives}
    return no_cache or after is not None
