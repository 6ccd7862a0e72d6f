"""Rows of the read model to what the API shows. Pure."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from voltpay.core.money import CURRENCIES, major_of
from voltpay.core.payment import Status
from voltpay.services.inquiry.rows import Balances, PostedPayment, moment_of, number_of


class StatusAnswer(Struct, frozen=True, rename="camel"):
    """Where a payment is."""

    correlation_id: UUID
    status: Status
    detail: str


class Item(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One payment in an account's list. Amounts are in major units."""

    correlation_id: UUID
    status: Status
    detail: str
    amount: Decimal
    currency: str
    merchant_id: str
    processor: str
    fee: Decimal
    requested_at: datetime
    settled_at: datetime
    posted_at: datetime
    sequence: int
    declined: str = ""


class BalanceOf(Struct, frozen=True, rename="camel"):
    """A balance in major units; `version` counts the postings in it."""

    currency: str
    balance: Decimal
    version: int


class Accounts(Struct, frozen=True, rename="camel"):
    """An account's balances, one a currency, as of the last fact in them."""

    account_id: str
    balances: Sequence[BalanceOf]
    as_of: datetime


class Transactions(Struct, frozen=True):
    """A page of an account's payments, newest first. `next` is the cursor to the page after."""

    items: Sequence[Item]
    next: str | None


def accounts_of(account: str, found: Balances) -> Accounts:
    """An account's balances as shown."""
    balances = [
        BalanceOf(one.currency, major(one.amount_minor, one.currency), one.version)
        for one in found.balances
    ]
    return Accounts(account, balances, moment_of(found.posted_at_ms))


def item_of(row: PostedPayment) -> Item:
    """A row as one of an account's list."""
    standing = row.standing
    return Item(
        correlation_id=row.id,
        status=standing.status,
        detail=standing.detail,
        amount=major(row.amount_minor, row.currency),
        currency=row.currency,
        merchant_id=row.merchant,
        processor=row.processor,
        fee=major(row.fee_minor, row.currency),
        requested_at=moment_of(row.requested_at_ms),
        settled_at=moment_of(row.settled_at_ms),
        posted_at=moment_of(row.posted_at_ms),
        sequence=row.sequence,
        declined=row.declined,
    )


def major(amount_minor: int, code: str) -> Decimal:
    """An amount in major units with the currency's decimals."""
    number_of(code)
    return major_of(amount_minor, CURRENCIES[code])
