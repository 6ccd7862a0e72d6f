"""The HTTP questions: payments, summary, balances, transactions."""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from litestar import MediaType, Response, get
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from voltpay.core.errors import Rejected
from voltpay.core.ids import ANONYMOUS, NAME, PaymentId, is_name, payment_id_of
from voltpay.core.money import CURRENCIES
from voltpay.core.payment import Status
from voltpay.foundation.runtime.http import (
    AnyRequest,
    BadRequest,
    answer,
    json_bytes,
    problems,
    refuse_unknown_query,
)
from voltpay.foundation.runtime.shortcuts import Shortcuts, told
from voltpay.services.inquiry.known import PaymentAnswer
from voltpay.services.inquiry.pages import Page, place_of
from voltpay.services.inquiry.questions import (
    LIMIT_DEFAULT,
    AccountQuestions,
    Payments,
)
from voltpay.services.inquiry.summary import ProcessorTotal, Summary
from voltpay.services.inquiry.views import Accounts, StatusAnswer, Transactions
from voltpay.services.inquiry.window import window_of

T = TypeVar("T")

LIMIT_MAX: Final = 200
_EXAMPLE: Final = "2026-01-31T12:00:00.250Z"
_COMPLETE: Final = "Voltpay-Complete"

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


class UnknownCurrencyAsked(Rejected):
    """`currency` is no alphabetic code of ISO 4217."""

    slug = "unknown-currency"
    title = "The currency is unknown"


def handlers(
    payments: Payments, accounts: AccountQuestions, summary: Summary, currency_default: str
) -> list[ControllerRouterHandler]:
    """The handlers of every question."""
    return [
        *_payment_handlers(payments),
        *_account_handlers(accounts),
        _summary_handler(summary, currency_default),
    ]


def shortcuts(payments: Payments, accounts: AccountQuestions) -> Shortcuts:
    """The questions asked most, past the framework, as they are without any parameter."""

    async def status(text: str) -> bytes:
        return json_bytes(await payments.status(_id_of(text), past_cache=False))

    async def balance(text: str) -> bytes:
        return json_bytes(await accounts.balance(_account_of(text), past_cache=False))

    async def transactions(text: str) -> bytes:
        return await accounts.first_page(_account_of(text), past_cache=False)

    return {
        ("GET", "/payments/{}/status"): told(status),
        ("GET", "/accounts/{}/balance"): told(balance),
        ("GET", "/accounts/{}/transactions"): told(transactions),
    }


def _payment_handlers(payments: Payments) -> list[ControllerRouterHandler]:
    @get(
        "/payments/{payment_id:str}",
        summary="Everything known of a payment",
        tags=["payments"],
        responses=problems(400, 404, 503),
    )
    async def get_payment(
        request: AnyRequest, payment_id: Id, cache_control: CacheControl = None
    ) -> Response[PaymentAnswer]:
        refuse_unknown_query(request, frozenset())
        found = await payments.payment(_id_of(payment_id), past_cache=_is_past(cache_control))
        return answer(found)

    @get(
        "/payments/{payment_id:str}/status",
        summary="Where a payment is",
        tags=["payments"],
        responses=problems(400, 404, 503),
    )
    async def get_status(
        request: AnyRequest, payment_id: Id, cache_control: CacheControl = None
    ) -> Response[StatusAnswer]:
        refuse_unknown_query(request, frozenset())
        found = await payments.status(_id_of(payment_id), past_cache=_is_past(cache_control))
        return answer(found)

    return [get_payment, get_status]


def _account_handlers(accounts: AccountQuestions) -> list[ControllerRouterHandler]:
    @get(
        "/accounts/{account_id:str}/balance",
        summary="An account's balances",
        tags=["accounts"],
        responses=problems(400, 404, 503),
    )
    async def get_balance(
        request: AnyRequest, account_id: Account, cache_control: CacheControl = None
    ) -> Response[Accounts]:
        refuse_unknown_query(request, frozenset())
        account = _account_of(account_id)
        return answer(await accounts.balance(account, past_cache=_is_past(cache_control)))

    @get(
        "/accounts/{account_id:str}/transactions",
        summary="An account's payments, newest first",
        tags=["accounts"],
        responses=problems(400, 404, 503),
    )
    async def get_transactions(
        request: AnyRequest,
        account_id: Account,
        limit: Annotated[int, QueryParameter(name="limit", ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: Annotated[
            str | None, QueryParameter(name="cursor", description="`next` of the page before")
        ] = None,
        currency: CurrencyCode = None,
        status: Outcome = None,
        since: Since = None,
        until: Until = None,
        cache_control: CacheControl = None,
    ) -> Response[Transactions]:
        refuse_unknown_query(request, _TRANSACTIONS_QUERY)
        page = Page(
            window_of(since, until),
            None if cursor is None else place_of(cursor),
            None if currency is None else _currency_of(currency),
            None if status is None else _is_completed(status),
        )
        account, past_cache = _account_of(account_id), _is_past(cache_control)
        return answer(await accounts.transactions(account, page, limit, past_cache=past_cache))

    return [get_balance, get_transactions]


_TRANSACTIONS_QUERY: Final = frozenset({"limit", "cursor", "currency", "status", "from", "to"})
_SUMMARY_QUERY: Final = frozenset({"from", "to", "currency"})


def _summary_handler(summary: Summary, currency_default: str) -> ControllerRouterHandler:
    @get(
        "/payments-summary",
        summary="Executed payments of one currency by processor",
        tags=["payments"],
        responses=problems(400, 503),
        response_headers=[
            ResponseHeader(
                name=_COMPLETE,
                documentation_only=True,
                description="`false`: the projection could not be awaited, some may be missing",
            )
        ],
    )
    async def get_summary(
        request: AnyRequest,
        since: Since = None,
        until: Until = None,
        currency: CurrencyCode = None,
    ) -> Response[dict[str, ProcessorTotal]]:
        refuse_unknown_query(request, _SUMMARY_QUERY)
        code = currency_default if currency is None else _currency_of(currency)
        found = await summary(window_of(since, until), code)
        headers = {_COMPLETE: "true" if found.is_complete else "false"}
        return _Totals(dict(found.processors), headers=headers, media_type=MediaType.JSON)

    return get_summary


class _Totals(Response[dict[str, ProcessorTotal]]):
    """Decimals become JSON numbers."""

    def render(
        self,
        content: object,
        media_type: str,  # noqa: ARG002
        enc_hook: Callable[[Any], Any] | None = None,  # noqa: ARG002
    ) -> bytes:
        return json_bytes(content)


def _id_of(text: str) -> PaymentId:
    found = payment_id_of(text)
    if found is None:
        raise BadRequest("a payment's id is a hyphenated UUID", fields=("correlationId",))
    return found


def _account_of(text: str) -> str:
    if not is_name(text.removeprefix(ANONYMOUS)):
        raise BadRequest("no name of an account", fields=("accountId",))
    return text


def _currency_of(code: str) -> str:
    if code not in CURRENCIES:
        raise UnknownCurrencyAsked("no currency of ISO 4217", fields=("currency",))
    return code


def _is_completed(status: str) -> bool:
    if status not in {Status.COMPLETED, Status.FAILED}:
        raise BadRequest("a posted payment is completed or failed", fields=("status",))
    return status == Status.COMPLETED


def _is_past(cache_control: str | None) -> bool:
    directives = (cache_control or "").lower().split(",")
    return "no-cache" in {directive.strip() for directive in directives}
