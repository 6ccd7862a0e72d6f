"""The error catalogue: every problem that HTTP answers with, read from the classes themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Final

import typer

from voltpay.core.errors import Rejected, Unavailable
from voltpay.foundation.runtime import http

Error = type[Rejected] | type[Unavailable]

_PACKAGE: Final = "voltpay."
_HEAD: Final = f"""# Errors

A request that cannot be answered as asked is answered with a problem (RFC 9457) of the media type
`{http.PROBLEM_JSON}`:

```json
{{"type": "{http.PROBLEM_BASE}invalid-payment", "status": 422,
 "title": "The payment cannot be accepted as it is", "detail": "amount is missing",
 "fields": ["amount"]}}
```

`type` is `{http.PROBLEM_BASE}` and a word below, and stable; `fields` names what was wrong, where
anything can be named. `X-Request-Id` is in the head of every answer, and in the log.

This page is made from the code: `make docs` writes it, `voltpay errors` prints the table.

"""
_COLUMNS: Final = ("type", "status", "title", "meaning", "send it again?", "from")
_ADVICE: Final = {
    HTTPStatus.NOT_FOUND: "no, unless it is there by then",
    HTTPStatus.CONFLICT: "no, unless that has changed",
    HTTPStatus.REQUEST_TIMEOUT: "yes, and faster",
    HTTPStatus.TOO_MANY_REQUESTS: "yes, after the answers to those before",
    HTTPStatus.INTERNAL_SERVER_ERROR: "yes: a payment is made once, however often it is sent",
    HTTPStatus.SERVICE_UNAVAILABLE: "yes, after `Retry-After` seconds",
}
_NO: Final = "no, it has to change first"


@dataclass(frozen=True)
class Entry:
    """A row: one `type`, and the modules that raise it."""

    slug: str
    status: int
    title: str
    meaning: str
    modules: tuple[str, ...]

    @property
    def advice(self) -> str:
        """Whether the same request may succeed later."""
        return _ADVICE.get(HTTPStatus(self.status), _NO)


_INTERNAL: Final = Entry(
    http.INTERNAL,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    http.INTERNAL_TITLE,
    "A defect of Voltpay; the log says which, under the request's id.",
    (http.__name__,),
)


def catalogue() -> Sequence[Entry]:
    """Every problem type, by status and name: of each error that has a `slug` of its own.

    An error without one never reaches HTTP, or has the type of its parent.
    """
    import voltpay.app.run  # noqa: F401 - whatever HTTP can raise is imported by the roles

    found = sorted(_entries(), key=attrgetter("slug", "modules"))
    merged = [_merged(list(same)) for _, same in groupby(found, key=attrgetter("slug"))]
    return sorted([*merged, _INTERNAL], key=attrgetter("status", "slug"))


def _entries() -> Iterator[Entry]:
    for root in (Rejected, Unavailable):
        for error in _below(root):
            if "slug" in vars(error) and error.__module__.startswith(_PACKAGE):
                meaning = (error.__doc__ or "").splitlines()[0]
                yield Entry(error.slug, error.status, error.title, meaning, (error.__module__,))


def _below(error: Error) -> Iterator[Error]:
    for heir in error.__subclasses__():
        yield heir
        yield from _below(heir)


def _merged(same: Sequence[Entry]) -> Entry:
    """One row of several classes with one slug. Raises ValueError where they disagree."""
    if len({(each.status, each.title) for each in same}) > 1:
        raise ValueError(f"{same[0].slug} has two meanings")
    meanings = dict.fromkeys(each.meaning for each in same)
    modules = sorted({module for each in same for module in each.modules})
    first = same[0]
    return Entry(first.slug, first.status, first.title, " ".join(meanings), tuple(modules))


def markdown() -> str:
    """The page docs/errors.md."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_cells, catalogue())]
    return _HEAD + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cells(entry: Entry) -> tuple[str, ...]:
    places = ", ".join(map(_link, entry.modules))
    name = f"`{entry.slug}`"
    return name, str(int(entry.status)), entry.title, entry.meaning, entry.advice, places


def _link(module: str) -> str:
    path = f"{module.replace('.', '/')}.py"
    return f"[{module.removeprefix(_PACKAGE)}](../src/{path})"


def errors(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As docs/errors.md")] = False,
) -> None:
    """Print every problem that HTTP answers with: type, status, meaning, whether to retry."""
    if as_markdown:
        typer.echo(markdown(), nl=False)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("type", "status", "meaning", "send it again?", title="Problems")
    for entry in catalogue():
        table.add_row(entry.slug, str(int(entry.status)), entry.meaning, entry.advice)
    Console().print(table)
