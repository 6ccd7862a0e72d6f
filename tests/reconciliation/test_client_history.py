"""A client's history: on disk line by line, and folded to what the client knows."""

import asyncio
from uuid import uuid4

import pytest

from voltpay.core.errors import Misconfigured
from voltpay.services.reconciliation.evidence import Asked
from voltpay.services.reconciliation.history import History, Line, read_history


async def test_what_was_noted_is_read_back_and_a_second_run_goes_on(tmp_path):
    path, ids = tmp_path / "history.jsonl", [uuid4() for _ in range(200)]
    for outcome in ("asked", "ok"):
        with History(path) as history:
            await asyncio.gather(*(history.note(Line(each, 5, outcome)) for each in ids))
    assert read_history(path) == [Asked(each, 5, "ok") for each in ids]


async def test_a_line_is_in_the_file_when_note_returns(tmp_path):
    path, one = tmp_path / "history.jsonl", uuid4()
    with History(path) as history:
        await history.note(Line(one, 1990, "asked"))
        assert path.read_text() == (
            f'{{"paymentId":"{one}","amountMinor":1990,"outcome":"asked"}}\n'
        )


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        (["asked"], "info"),
        (["asked", "info"], "info"),
        (["asked", "fail"], "fail"),
        (["asked", "asked", "fail"], "info"),
        (["asked", "asked", "fail", "fail"], "fail"),
        (["asked", "asked", "fail", "info"], "info"),
        (["asked", "asked", "info", "ok"], "ok"),
        (["asked", "ok", "asked", "fail"], "ok"),
        (["ok"], "ok"),
        (["fail"], "fail"),
    ],
)
async def test_a_payment_has_the_best_outcome_that_its_requests_may_have_had(
    tmp_path, steps, outcome
):
    one = uuid4()
    with History(tmp_path / "h") as history:
        for step in steps:
            await history.note(Line(one, 5, step))
    assert read_history(tmp_path / "h") == [Asked(one, 5, outcome)]


async def test_the_amount_is_that_of_the_first_promise(tmp_path):
    one = uuid4()
    with History(tmp_path / "h") as history:
        for amount, step in ((7, "asked"), (7, "fail"), (5, "asked"), (5, "ok"), (7, "ok")):
            await history.note(Line(one, amount, step))
    assert read_history(tmp_path / "h") == [Asked(one, 5, "ok", frozenset({7}))]


async def test_a_torn_last_line_is_left_out(tmp_path):
    one = uuid4()
    with History(tmp_path / "h") as history:
        await history.note(Line(one, 5, "ok"))
    with (tmp_path / "h").open("a") as torn:
        torn.write('{"paymentId":"')
    assert read_history(tmp_path / "h") == [Asked(one, 5, "ok")]


@pytest.mark.parametrize("line", ["{}", "no json", '{"paymentId":"x","amountMinor":1}', ""])
def test_a_line_that_is_none_is_refused_with_its_number(tmp_path, line):
    good = f'{{"paymentId":"{uuid4()}","amountMinor":1,"outcome":"ok"}}'
    (tmp_path / "h").write_text(f"{good}\n{line}\n{good}\n")
    with pytest.raises(Misconfigured, match="line 2 of"):
        read_history(tmp_path / "h")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_history(tmp_path / "nowhere")
