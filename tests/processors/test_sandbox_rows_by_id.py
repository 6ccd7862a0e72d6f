"""The sandbox's table of ids: it finds what was added and nothing else, whatever the ids are."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltpay.processors.sandbox.rows_by_id import RowsById


def table_of(ids: list[bytes]) -> RowsById:
    made = RowsById(lambda row: ids[row])
    for row, one in enumerate(ids):
        made.add(one, row)
    return made


@pytest.mark.parametrize("count", [0, 1, 7, 2_048, 40_000])
def test_every_id_is_found_in_its_row_and_no_other(count: int) -> None:
    ids = [uuid4().bytes for _ in range(count)]
    table = table_of(ids)
    assert [table.find(one) for one in ids] == list(range(count))
    assert {table.find(uuid4().bytes) for _ in range(1_000)} == {None}


def test_ids_that_count_up_behind_several_heads_are_not_mistaken_for_one_another() -> None:
    ids = [head + number.to_bytes(8) for head in (b"h" * 8, b"i" * 8) for number in range(5_000)]
    looked_at: list[int] = []
    mistaken = 0

    def id_of(row: int) -> bytes:
        looked_at.append(row)
        return ids[row]

    table = RowsById(id_of)
    for row, one in enumerate(ids):
        looked_at.clear()
        assert table.find(one) is None
        mistaken += len(looked_at)
        table.add(one, row)
    # A tag of eight bits and runs of a few slots: some in a hundred, not thousands of a run.
    assert mistaken < 500
    assert [table.find(one) for one in ids] == list(range(10_000))
    assert table.find(UUID(int=5_000).bytes) is None


@given(st.lists(st.binary(min_size=11, max_size=11), unique=True, max_size=60))
def test_ids_that_end_alike_are_told_apart(heads: list[bytes]) -> None:
    ids = [head + b"alike" for head in heads]
    table = table_of(ids)
    assert [table.find(one) for one in ids] == list(range(len(ids)))
    assert table.find(b"no such one" + b"alike") is None
