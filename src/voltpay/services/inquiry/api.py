"""The HTTP questions: payments, summary, balances, transactions."""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from litestar import MediaType, Response, get
from litestar.datastructures import ResponseHeader
from litestar.params import QueryParameter
from litestar.types import ControllerRouterHandler

from voltpay.foundation.runtime.http import (
    AnyRequest,
    answer,
    json_bytes,
    problems,
    refuse_unknown_query,
)
from voltpay.foundation.runtime.shortcuts import Shortcuts, told
from voltpay.services.inquiry.known import PaymentAnswer
from voltpay.services.inquiry.pages import Page, place_of
from voltpay.services.inquiry.parameters import (
    POSITION_HEADER,
    Account,
    After,
    CacheControl,
    CurrencyCode,
    Id,
    Outcome,
    Since,
    Until,
    account_of,
    at_least,
    currency_of,
    id_of,
    is_completed,
    is_past,
)
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
_COMPLETE: Final = "Voltpay-Complete"


def handlers(
    payments: Payments, accounts: AccountQuestions, summary: Summary, currency_default: str
) -> list[ControllerRouterHandler]:
    """The handlers of every question."""
    return [
        _payment_handler(payments),
        _status_handler(payments),
        *_account_handlers(accounts),
        _summary_handler(summary, currency_default),
    ]


def shortcuts(payments: Payments, accounts: AccountQuestions) -> Shortcuts:
    """The questions asked most, past the framework, as they are without any parameter."""

    async def status(text: str) -> bytes:
        return json_bytes(await payments.status(id_of(text), past_cache=False))

    async def balance(text: str) -> bytes:
        return json_bytes(await accounts.balance(account_of(text), past_cache=False))

    async def transactions(text: str) -> bytes:
        return await accounts.first_page(account_of(text), past_cache=False)

    return {
        ("GET", "/payments/{}/status"): told(status),
        ("GET", "/accounts/{}/balance"): told(balance),
        ("GET", "/accounts/{}/transactions"): told(transactions),
    }


def _payment_handler(payments: Payments) -> ControllerRouterHandler:
    @get(
        "/payments/{payment_id:str}",
        summary="Everything known of a payment",
        tags=["payments"],
        responses=problems(400, 404, 503),
        response_headers=[POSITION_HEADER],
    )
    async def get_payment(
        request: AnyRequest, payment_id: Id, cache_control: CacheControl = None, after: After = None
    ) -> Response[PaymentAnswer]:
        refuse_unknown_query(request, frozenset())
        with at_least(after) as headers:
            past_cache = is_past(cache_control, after)
            found = await payments.payment(id_of(payment_id), past_cache=past_cache)
        return answer(found, headers=headers)

    return get_payment


def _status_handler(payments: Payments) -> ControllerRouterHandler:
    @get(
        "/payments/{payment_id:str}/status",
        summary="Where a payment is",
        tags=["payments"],
        responses=problems(400, 404, 503),
        response_headers=[POSITION_HEADER],
    )
    async def get_status(
        request: AnyRequest, payment_id: Id, cache_control: CacheControl = None, after: After = None
    ) -> Response[StatusAnswer]:
        refuse_unknown_query(request, frozenset())
        with at_least(after) as headers:
            past_cache = is_past(cache_control, after)
            found = await payments.status(id_of(payment_id), past_cache=past_cache)
        return answer(found, headers=headers)

    return get_status


def _account_handlers(accounts: AccountQuestions) -> list[ControllerRouterHandler]:
    @get(
        "/accounts/{account_id:str}/balance",
        summary="An account's balances",
        tags=["accounts"],
        responses=problems(400, 404, 503),
        response_headers=[POSITION_HEADER],
    )
    async def get_balance(
        request: AnyRequest,
        account_id: Account,
        cache_control: CacheControl = None,
        after: After = None,
    ) -> Response[Accounts]:
        refuse_unknown_query(request, frozenset())
        account = account_of(account_id)
        with at_least(after) as headers:
            found = await accounts.balance(account, past_cache=is_past(cache_control, after))
        return answer(found, headers=headers)

    @get(
        "/accounts/{account_id:str}/transactions",
        summary="An account's payments, newest first",
        tags=["accounts"],
        responses=problems(400, 404, 503),
        response_headers=[POSITION_HEADER],
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
        after: After = None,
    ) -> Response[Transactions]:
        refuse_unknown_query(request, _TRANSACTIONS_QUERY)
        page = Page(
            window_of(since, until),
            None if cursor is None else place_of(cursor),
            None if currency is None else currency_of(currency),
            None if status is None else is_completed(status),
        )
        account, past_cache = account_of(account_id), is_past(cache_control, after)
        with at_least(after) as headers:
            found = await accounts.transactions(account, page, limit, past_cache=past_cache)
        return answer(found, headers=headers)

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
            ),
            POSITION_HEADER,
        ],
    )
    async def get_summary(
        request: AnyRequest,
        since: Since = None,
        until: Until = None,
        currency: CurrencyCode = None,
        after: After = None,
    ) -> Response[dict[str, ProcessorTotal]]:
        refuse_unknown_query(request, _SUMMARY_QUERY)
        code = currency_default if currency is None else currency_of(currency)
        with at_least(after) as headers:
            found = await summary(window_of(since, until), code)
        headers[_COMPLETE] = "true" if found.is_complete else "false"
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
