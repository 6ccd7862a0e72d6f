"""What an operator of the sandbox asks and sets: summary, journal, delay, failure, faults."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct

from voltpay.core.errors import Rejected
from voltpay.core.money import Currency, major_of
from voltpay.foundation.seams.clock import Chance
from voltpay.processors.protocol import payment_json, time_ms
from voltpay.processors.sandbox.charging import Behaviour
from voltpay.processors.sandbox.faults import Fault, FaultSettings
from voltpay.processors.sandbox.journal import Journal
from voltpay.processors.sandbox.replies import NOT_FOUND, Reply, json_reply, message

PAGE_ROWS_MAX: Final = 10_000
_CONFIGURATIONS: Final = "/admin/configurations/"
_WRONG_TOKEN: Final = message("the header X-Rinha-Token is missing or wrong", 401)
_CHANGED: Final = Reply(200, b"{}")
S = TypeVar("S", bound=Struct)


class Summary(Struct, frozen=True, rename="camel"):
    """What the processor executed, and its fee of it, unrounded."""

    total_amount: Decimal
    total_requests: int
    total_fee: Decimal
    fee_per_transaction: Decimal


class TokenChange(Struct, forbid_unknown_fields=True):
    """Another token."""

    token: Annotated[str, Meta(min_length=1, max_length=128)]


class DelayChange(Struct, forbid_unknown_fields=True):
    """Another delay of every charge, in milliseconds."""

    delay: Annotated[int, Meta(ge=0, le=600_000)]


class FailureChange(Struct, forbid_unknown_fields=True):
    """Whether every charge fails."""

    failure: bool


class FaultCounts(Struct, frozen=True):
    """The faults as they are set, and how often each was met."""

    answer_after_insert_ms: int
    share: Mapping[Fault, float]
    seed: int
    counts: Mapping[Fault, int]


class _Malformed(Rejected):
    """A body or a query that the call does not take: the sandbox answers 400."""


class Admin:
    """Answers all below `/admin/`."""

    def __init__(
        self,
        journal: Journal,
        behaviour: Behaviour,
        fee: Decimal,
        currency: Currency,
        chance: Chance,
    ) -> None:
        self._journal = journal
        self._behaviour = behaviour
        self._fee = fee
        self._currency = currency
        self._chance = chance
        self._calls: Mapping[tuple[str, str], Callable[[Mapping[str, str]], Reply]] = {
            ("GET", "/admin/payments-summary"): self._summary,
            ("GET", "/admin/payments"): self._page,
            ("GET", "/admin/faults"): self._faults,
            ("POST", "/admin/purge-payments"): self._purge,
        }

    def reply(self, method: str, path: str, query: bytes, token: str, body: bytes) -> Reply:
        """The answer to one call; `token` is its header X-Rinha-Token."""
        try:
            if method == "PUT" and path.startswith(_CONFIGURATIONS):
                return self._configure(path.removeprefix(_CONFIGURATIONS), token, body)
            call = self._calls.get((method, path))
            return call(_query(query)) if call else NOT_FOUND
        except (_Malformed, msgspec.MsgspecError) as error:
            return message(str(error), 400)

    def _summary(self, query: Mapping[str, str]) -> Reply:
        from_ms, to_ms = _bounds(query)
        if from_ms is None or to_ms is None:
            total = self._journal.total()
        else:
            total = self._journal.total_between(from_ms, to_ms)
        amount = major_of(total.amount_minor, self._currency)
        return json_reply(Summary(amount, total.count, amount * self._fee, self._fee))

    def _page(self, query: Mapping[str, str]) -> Reply:
        from_ms, to_ms = _bounds(query)
        after = _whole(query.get("after", "0"))
        limit = min(max(_whole(query.get("limit", "1000")), 1), PAGE_ROWS_MAX)
        rows, following = self._journal.page(after, limit, from_ms, to_ms)
        decimals = self._currency.decimals
        items = b",".join(
            b'{"sequence":%d,' % sequence
            + payment_json(row.payment_id, row.amount_minor, decimals, row.requested_at_ms)[1:]
            for sequence, row in rows
        )
        end = b"null" if following is None else b"%d" % following
        return Reply(200, b'{"items":[%s],"next":%s}' % (items, end))

    def _faults(self, _query: Mapping[str, str]) -> Reply:
        plan = self._behaviour.faults
        return json_reply(
            FaultCounts(plan.answer_after_insert_ms, plan.share, plan.seed, plan.counts)
        )

    def _purge(self, _query: Mapping[str, str]) -> Reply:
        self._journal.purge()
        self._behaviour.faults.forget()
        return message("all payments purged", 200)

    def _configure(self, what: str, token: str, body: bytes) -> Reply:
        if token != self._behaviour.token:
            return _WRONG_TOKEN
        match what:
            case "token":
                self._behaviour.token = _read(TokenChange, body).token
                return Reply(204)
            case "delay":
                self._behaviour.delay_ms = _read(DelayChange, body).delay
            case "failure":
                self._behaviour.failure = _read(FailureChange, body).failure
            case "faults":
                self._change_faults(_read(FaultSettings, body))
            case _:
                return NOT_FOUND
        return _CHANGED

    def _change_faults(self, settings: FaultSettings) -> None:
        if wrong := settings.wrong():
            raise _Malformed(wrong)
        drawn = int(self._chance.random() * 2**32) if settings.seed is None else settings.seed
        self._behaviour.faults.change(settings, drawn)


def _read(kind: type[S], body: bytes) -> S:
    return msgspec.json.decode(body, type=kind)


def _query(query: bytes) -> Mapping[str, str]:
    return dict(parse_qsl(query.decode("latin-1")))


def _bounds(query: Mapping[str, str]) -> tuple[int | None, int | None]:
    return _bound(query.get("from")), _bound(query.get("to"))


def _bound(text: str | None) -> int | None:
    if text is None:
        return None
    # A plus sign that was not escaped arrives as a space.
    time = int(text) if text.isdecimal() and text.isascii() else time_ms(text.replace(" ", "+"))
    if time is None:
        raise _Malformed("from and to are RFC 3339 times, or milliseconds since the epoch")
    return time


def _whole(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 18):
        raise _Malformed("after and limit are whole numbers")
    return int(text)
