"""The OpenAPI document says what the handlers do, also where Litestar would say less."""

from decimal import Decimal
from typing import Annotated, Any

from litestar import Litestar, Response, get, post
from litestar.openapi import OpenAPIConfig
from litestar.params import Body, PathParameter, QueryParameter
from msgspec import Struct

from voltpay.foundation.runtime.http import NotAllowed, problem_of, problems
from voltpay.foundation.runtime.openapi import DecimalsAreNumbers, document_of


class Wish(Struct, forbid_unknown_fields=True):
    """A body."""

    reason: str


class Found(Struct):
    """An answer."""

    amount: Decimal
    fee: Decimal | None


@get("/things/{number:int}", responses=problems(404), sync_to_thread=False)
def find(
    number: Annotated[int, PathParameter(ge=1, le=9)],
    kind: Annotated[str | None, QueryParameter(name="kind", pattern="^[a-z]+$")] = None,
) -> Response[Found]:
    raise NotImplementedError


@post("/things", sync_to_thread=False)
def wish(data: Annotated[Wish, Body()]) -> None:
    raise NotImplementedError


def document() -> dict[str, Any]:
    """The document of two handlers and a raw one."""
    app = Litestar(
        [find, wish], plugins=[DecimalsAreNumbers()], openapi_config=OpenAPIConfig("Test", "1")
    )
    return dict(document_of(app, {"/things": {"put": {"summary": "raw"}}, "/raw": {"get": {}}}))


def test_an_amount_is_a_number() -> None:
    fields = document()["components"]["schemas"]["Found"]["properties"]
    assert fields["amount"] == {"type": "number"}
    assert fields["fee"] == {"oneOf": [{"type": "number"}, {"type": "null"}]}


def test_a_request_body_takes_no_other_fields_and_an_answer_may_grow() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["Wish"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Found"]


def test_a_parameter_has_a_value_or_is_left_out() -> None:
    number, kind = document()["paths"]["/things/{number}"]["get"]["parameters"]
    assert number["schema"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert isinstance(number["schema"]["maximum"], int)
    assert kind["schema"] == {"type": "string", "pattern": "^[a-z]+$"}
    assert kind["required"] is False


def test_raw_operations_stand_beside_the_others() -> None:
    paths = document()["paths"]
    assert paths["/things"].keys() == {"post", "put"}
    assert paths["/raw"] == {"get": {}}


def test_the_document_is_the_same_each_time() -> None:
    assert document() == document()
    assert "examples" not in document()["components"]["schemas"]["ProblemDetails"]


def test_a_refused_method_is_told_with_those_that_are_allowed() -> None:
    problem, headers = problem_of(NotAllowed("no", allow="GET, POST"))
    assert (problem.status, headers) == (405, {"allow": "GET, POST"})
