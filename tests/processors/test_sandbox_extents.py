"""Where the sandbox's lines stand: as if the begin of each had been kept."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from voltpay.processors.sandbox.extents import Extents


@given(st.lists(st.integers(1, 255), max_size=300))
def test_every_line_is_where_the_ones_before_it_end(lengths: list[int]) -> None:
    extents = Extents()
    for length in lengths:
        extents.append(length)
    begins = list(accumulate(lengths, initial=0))[:-1]
    assert len(extents) == len(lengths)
    assert [extents[n] for n in range(len(lengths))] == list(zip(begins, lengths, strict=True))
