"""The sandbox's journal: what was appended is there after a crash, exactly and in order."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltpay.core.errors import Misconfigured
from voltpay.processors.sandbox.journal import Journal, JournalFull
from voltpay.processors.sandbox.seconds import Total
from voltpay.processors.seam import Booked

AT_MS = 1_752_580_800_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "one.journal"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path)
    made.open()
    yield made
    made.close()


def append(journal: Journal, amount_minor: int = 1990, time_ms: int = AT_MS) -> Booked:
    booked = Booked(uuid4(), amount_minor, time_ms)
    journal.append(booked.payment_id.bytes, amount_minor, time_ms)
    return booked


def reopened(journal: Journal, path: Path) -> Journal:
    journal.close()
    again = Journal(path)
    again.open()
    return again


def test_what_was_appended_is_read_back(journal: Journal, path: Path) -> None:
    booked = [append(journal, amount) for amount in (1, 1990, 999_999_999_999)]

    again = reopened(journal, path)

    assert [again.find(each.payment_id.bytes) for each in booked] == booked
    assert again.total() == Total(3, 1_000_000_001_990)
    assert again.find(uuid4().bytes) is None
    append(again)
    assert reopened(again, path).total().count == 4


def test_a_torn_last_line_is_cut_off_and_the_next_goes_on_from_there(
    journal: Journal, path: Path
) -> None:
    first = append(journal)
    append(journal)
    path.write_bytes(path.read_bytes()[:-7])

    again = reopened(journal, path)

    assert again.total() == Total(1, 1990)
    third = append(again, 5)
    last = reopened(again, path)
    assert [row for _, row in last.page(0, 10, None, None)[0]] == [first, third]


@pytest.mark.parametrize(
    "line", [b"x", b"1 zz 5 5", b"3 " + b"00" * 16 + b" 5 5", b"", b"2 " + b"00" * 16 + b" 5.0 5"]
)
def test_a_damaged_line_within_is_refused_and_named(
    line: bytes, journal: Journal, path: Path
) -> None:
    append(journal)
    path.write_bytes(path.read_bytes() + line + b"\n")

    with pytest.raises(Misconfigured, match="line 2 of the journal"):
        reopened(journal, path)


def test_a_second_owner_is_refused_while_the_first_lives(journal: Journal, path: Path) -> None:
    with pytest.raises(Misconfigured, match="another process has the journal"):
        Journal(path).open()
    assert append(journal) in [row for _, row in journal.page(0, 1, None, None)[0]]

    assert reopened(journal, path).total().count == 1


def test_pages_walk_the_whole_journal_in_order(journal: Journal) -> None:
    booked = [append(journal, amount) for amount in range(1, 8)]
    walked: list[tuple[int, Booked]] = []
    after: int | None = 0
    while after is not None:
        rows, after = journal.page(after, 3, None, None)
        walked += rows

    assert walked == list(enumerate(booked, start=1))
    assert journal.page(7, 3, None, None) == ([], None)
    assert journal.page(99, 3, None, None) == ([], None)


def test_a_page_leaves_out_what_is_not_within_its_inclusive_bounds(journal: Journal) -> None:
    booked = [append(journal, 1, AT_MS + offset) for offset in range(5)]

    rows, following = journal.page(0, 4, AT_MS + 1, AT_MS + 3)

    assert [row for _, row in rows] == booked[1:4]
    assert following == 4
    assert journal.page(4, 4, AT_MS + 1, AT_MS + 3) == ([], None)


@given(
    rows=st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 5_000)), max_size=30),
    one=st.integers(-10, 5_010),
    other=st.integers(-10, 5_010),
)
def test_a_window_sums_exactly_the_payments_within_it(rows, one, other, tmp_path_factory) -> None:
    journal = Journal(tmp_path_factory.mktemp("journal") / "one")
    journal.open()
    for amount_minor, offset in rows:
        append(journal, amount_minor, AT_MS + offset)

    total = journal.total_between(AT_MS + one, AT_MS + other)

    within = [amount for amount, offset in rows if one <= offset <= other]
    assert total == Total(len(within), sum(within))
    journal.close()


def test_a_purge_empties_it_on_disk_too(journal: Journal, path: Path) -> None:
    append(journal)
    journal.purge()

    assert path.read_bytes() == b""
    assert journal.total() == Total(0, 0)
    kept = append(journal)
    assert reopened(journal, path).find(kept.payment_id.bytes) == kept


def test_what_does_not_fit_on_disk_is_refused_and_leaves_nothing(path: Path) -> None:
    """In a process of its own, whose files may not grow beyond one line and a half."""
    child = os.fork()
    if child == 0:
        os._exit(_fill(path))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    again = Journal(path)
    again.open()
    assert again.total() == Total(1, 1990)
    again.close()


def _fill(path: Path) -> int:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = Journal(path)
    journal.open()
    append(journal)
    size = path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + size // 2, resource.RLIM_INFINITY))
    refused = UUID(int=7).bytes
    for _ in range(2):
        try:
            journal.append(refused, 1990, AT_MS)
        except JournalFull:
            continue
        return 1
    return 0 if path.stat().st_size == size and journal.find(refused) is None else 2
