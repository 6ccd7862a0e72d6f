"""The HTTP side of dead letters."""

from typing import Annotated, Final

from litestar import Response, get, post
from litestar.params import Body, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from voltpay.foundation.runtime.http import (
    AnyRequest,
    answer,
    problems,
    refuse_other_than_json,
    refuse_unknown_query,
)
from voltpay.services.dead.letters import LetterAnswer, Letters, LetterShown
from voltpay.services.dead.replay import LIMIT_DEFAULT, Desk

LIMIT_MAX: Final = 200
_NOTHING: Final = frozenset[str]()
# Python's `$` alone also stands before a line feed at the end, JSON Schema's does not.
_END: Final = r"(?!\n)$"

LetterId = Annotated[int, PathParameter(description="The letter's number", ge=1)]


class DiscardRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a letter is given up: one line, no control characters."""

    reason: Annotated[
        str, Meta(min_length=1, max_length=500, pattern=rf"^[^\u0000-\u001f\u007f]+{_END}")
    ]


def handlers(desk: Desk) -> list[ControllerRouterHandler]:
    """The handlers of dead letters."""
    return [*_reading(desk), *_acting(desk)]


def _reading(desk: Desk) -> list[ControllerRouterHandler]:
    @get(
        "/dead-letters",
        summary="What was buried, newest first",
        tags=["dead letters"],
        responses=problems(400, 503),
    )
    async def list_letters(
        request: AnyRequest,
        stage: Annotated[
            str | None, QueryParameter(name="stage", pattern=rf"^[a-z][a-z0-9_.-]{{0,63}}{_END}")
        ] = None,
        limit: Annotated[int, QueryParameter(name="limit", ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: Annotated[
            str | None, QueryParameter(name="cursor", description="`next` of the page before")
        ] = None,
    ) -> Response[Letters]:
        refuse_unknown_query(request, frozenset({"stage", "limit", "cursor"}))
        return answer(await desk.listed(stage, limit, cursor))

    @get(
        "/dead-letters/{letter_id:int}",
        summary="A dead letter with its message, personal data left out",
        tags=["dead letters"],
        responses=problems(400, 404, 503),
    )
    async def show_letter(request: AnyRequest, letter_id: LetterId) -> Response[LetterShown]:
        refuse_unknown_query(request, _NOTHING)
        return answer(await desk.show(letter_id))

    return [list_letters, show_letter]


def _acting(desk: Desk) -> list[ControllerRouterHandler]:
    @post(
        "/dead-letters/{letter_id:int}/replay",
        status_code=200,
        summary="Send the message to its topic again; safe to repeat",
        tags=["dead letters"],
        responses=problems(400, 404, 409, 503),
    )
    async def replay_letter(request: AnyRequest, letter_id: LetterId) -> Response[LetterAnswer]:
        refuse_unknown_query(request, _NOTHING)
        return answer(await desk.replay(letter_id))

    @post(
        "/dead-letters/{letter_id:int}/discard",
        status_code=200,
        summary="Give the message up; refused while an attempt is open",
        tags=["dead letters"],
        responses=problems(400, 404, 409, 415, 503),
    )
    async def discard_letter(
        request: AnyRequest, letter_id: LetterId, data: Annotated[DiscardRequest, Body()]
    ) -> Response[LetterAnswer]:
        refuse_unknown_query(request, _NOTHING)
        refuse_other_than_json(request.headers.get("content-type", "").encode("latin-1"))
        return answer(await desk.discard(letter_id, data.reason))

    return [replay_letter, discard_letter]
