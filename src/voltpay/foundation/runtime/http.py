"""HTTP for every role: problems (RFC 9457), answers, request ids, the settings of the server."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from itertools import count
from typing import Any, Final, TypeVar

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct
from prometheus_client import Counter

from voltpay.core.errors import Rejected, Unavailable

S = TypeVar("S", bound=Struct)
AnyRequest = Request[Any, Any, Any]
"""Voltpay keeps no user, token or state on a request."""

PROBLEM_JSON: Final = "application/problem+json"
PROBLEM_BASE: Final = "urn:voltpay:problem:"
INTERNAL: Final = "internal"
INTERNAL_TITLE: Final = "Voltpay failed"
ANSWERS: Final = Counter("voltpay_http_requests_total", "Answers", ["status"])
_HUNG_UP: Final = "client disconnected prematurely"
"""How Litestar's exception says so, which to it is an error of the server's."""
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_REQUESTS: Final = count(1)


class ProblemDetails(Struct, rename="camel", omit_defaults=True):
    """An RFC 9457 problem. `type` is stable; `fields` names what was wrong in the request."""

    type: str
    title: str
    status: int
    detail: str = ""
    fields: Sequence[str] = ()
    request_id: str = ""


class NotAllowed(Rejected):
    """The path exists, but not for this method."""

    slug = "method-not-allowed"
    status = 405
    title = "The method is not allowed here"

    def __init__(self, detail: str, *, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow


class NotFound(Rejected):
    """No such path."""

    slug = "not-found"
    status = 404
    title = "There is nothing here"


class NotJson(Rejected):
    """The Content-Type is not application/json."""

    slug = "not-json"
    status = 415
    title = "The body must be application/json"


class BadRequest(Rejected):
    """The request is not what this call takes: a parameter is malformed or unknown."""

    slug = "bad-request"
    status = 400
    title = "The request is malformed"


def json_bytes(value: object) -> bytes:
    """JSON of any msgspec value; Decimals are numbers with all their decimals."""
    return _ENCODER.encode(value)


def answer(value: S, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[S]:
    """A JSON answer. Encoded here, so that Decimals become JSON numbers."""
    return _Encoded(value, status_code=status, headers=headers, media_type=MediaType.JSON)


class _Encoded(Response[S]):
    def render(self, content: object, media_type: str, enc_hook: object = None) -> bytes:  # noqa: ARG002
        return json_bytes(content)


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The client's own `X-Request-Id` if it is short and plain, else a new one."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    if not given:
        return b"%s%08x" % (_process_mark(os.getpid()), next(_REQUESTS) & 0xFFFFFFFF)
    is_usable = len(given) <= 64 and given.isascii() and given.replace(b"-", b"").isalnum()
    return given if is_usable else request_id_of(())


@lru_cache(maxsize=2)
def _process_mark(pid: int) -> bytes:  # noqa: ARG001 - a forked process gets one of its own
    return os.urandom(4).hex().encode()


def problem_of(error: Exception) -> tuple[ProblemDetails, dict[str, str]]:
    """The problem and the extra headers that an error is answered with."""
    match error:
        case Rejected():
            headers = {"allow": error.allow} if isinstance(error, NotAllowed) else {}
            return _problem(error, error.fields), headers
        case Unavailable():
            return _problem(error, ()), {"retry-after": str(error.retry_after_s)}
        case HTTPException(detail=detail) if detail == _HUNG_UP:
            return problem_of(BadRequest("the body was broken off"))
        case HTTPException(status_code=status) if status < 500:
            return problem_of(_rejected(error))
        case _:
            return ProblemDetails(PROBLEM_BASE + INTERNAL, INTERNAL_TITLE, 500), {}


def whole_problem(error: Rejected, request_id: bytes) -> bytes:
    """A whole HTTP answer that closes the connection, for what never reaches an app."""
    details, _ = problem_of(error)
    body = json_bytes(details)
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        f"content-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
        f"connection: close\r\nx-request-id: {request_id.decode()}\r\n\r\n"
    )
    return head.encode() + body


def _rejected(error: HTTPException) -> Rejected:
    """What Litestar refuses by itself, in our words."""
    match error.status_code:
        case 404:
            return NotFound("no such path")
        case 405:
            allow = (error.headers or {}).get("allow", "")
            return NotAllowed("see /schema for what it takes", allow=allow)
        case _:
            return BadRequest(_detail_of(error), fields=tuple(_fields_of(error)))


def _problem(error: Rejected | Unavailable, fields: Sequence[str]) -> ProblemDetails:
    kind = PROBLEM_BASE + error.slug
    return ProblemDetails(kind, error.title, error.status, error.detail, fields)


def _detail_of(error: HTTPException) -> str:
    """Litestar's own words, without the address that it repeats however long it is."""
    if error.detail.startswith("Validation failed"):
        return "it is not as the schema says"
    return error.detail


def _fields_of(error: HTTPException) -> Sequence[str]:
    extra = error.extra
    rows = extra if isinstance(extra, list) else []
    return [str(row["key"]) for row in rows if isinstance(row, dict) and "key" in row]


def refuse_other_than_json(content_type: bytes) -> None:
    """Raise NotJson unless a Content-Type says JSON, in UTF-8 where it says more."""
    kind, _, parameters = content_type.partition(b";")
    if kind.strip().lower() != b"application/json":
        raise NotJson("send Content-Type: application/json")
    if parameters and parameters.strip().lower().replace(b'"', b"") != b"charset=utf-8":
        raise NotJson("JSON is UTF-8")


def refuse_unknown_query(request: AnyRequest, known: frozenset[str]) -> None:
    """Raise BadRequest for a query parameter that the call does not know, or one given twice."""
    keys = [key for key, _ in request.query_params.multi_items()]
    wrong = sorted({key for key in keys if key not in known or keys.count(key) > 1})
    if wrong:
        raise BadRequest("unknown or repeated query parameter", fields=tuple(wrong))


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """For a handler's `responses=`: these statuses are problems."""
    return {
        status: ResponseSpec(
            ProblemDetails,
            description="A problem (RFC 9457)",
            media_type=PROBLEM_JSON,
            generate_examples=False,
        )
        for status in statuses
    }
