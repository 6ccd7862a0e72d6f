"""A client's history: what it asked for and what it was told, on disk before and after.

One JSON line each: `{"paymentId": …, "amountMinor": …, "outcome": …}`, where `outcome` is `asked`
before a request, and after it `ok` (202), `fail` (refused) or `info` (no clear answer).
"""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from voltpay.core.errors import Misconfigured
from voltpay.foundation.runtime.group_commit import GroupCommit
from voltpay.services.reconciliation.evidence import Asked

Outcome = Literal["asked", "ok", "fail", "info"]


class Line(Struct, frozen=True, rename="camel"):
    """One line."""

    payment_id: UUID
    amount_minor: int
    outcome: Outcome


class History:
    """Appends lines to a file; each is on disk when `note` returns, many share one sync."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._noted = GroupCommit(self._commit, waiting_max=100_000)

    def __enter__(self) -> "History":
        self._file = self._path.open("ab")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    async def note(self, line: Line) -> None:
        """Write down one step of one request."""
        await self._noted(msgspec.json.encode(line) + b"\n")

    async def _commit(self, lines: Sequence[bytes]) -> Sequence[None]:
        await asyncio.to_thread(self._write, b"".join(lines))
        return [None] * len(lines)

    def _write(self, content: bytes) -> None:
        assert self._file is not None, "used outside of its context"
        self._file.write(content)
        self._file.flush()
        os.fsync(self._file.fileno())


def read_history(path: Path) -> Sequence[Asked]:
    """Each payment of a history once, with the best that its client knows. Raises Misconfigured.

    A payment that was asked for more often than it was answered may have been taken. A torn last
    line was never acted on, and is left out.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read", "give the history of a load") from error
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    return folded([_line_of(path, number, line) for number, line in enumerate(lines, start=1)])


def folded(lines: Sequence[Line]) -> Sequence[Asked]:
    """The lines by payment. The amount is that of the first 202, or else of the first request."""
    steps: dict[UUID, Counter[Outcome]] = {}
    amounts: dict[UUID, int] = {}
    promised: dict[UUID, set[int]] = {}
    for line in lines:
        known = steps.setdefault(line.payment_id, Counter())
        if not known or (line.outcome == "ok" and not known["ok"]):
            amounts[line.payment_id] = line.amount_minor
        known[line.outcome] += 1
        if line.outcome == "ok":
            promised.setdefault(line.payment_id, set()).add(line.amount_minor)
    return [
        Asked(
            payment_id,
            amounts[payment_id],
            _outcome_of(known),
            frozenset(promised.get(payment_id, set()) - {amounts[payment_id]}),
        )
        for payment_id, known in steps.items()
    ]


def _outcome_of(known: "Counter[Outcome]") -> str:
    if known["ok"]:
        return "ok"
    return "info" if known["info"] or known["asked"] > known["fail"] else "fail"


def _line_of(path: Path, number: int, line: bytes) -> Line:
    try:
        return msgspec.json.decode(line, type=Line)
    except msgspec.MsgspecError as error:
        raise Misconfigured(
            f"line {number} of {path} is no line of a history: {error}",
            "give the history of a load",
        ) from error
