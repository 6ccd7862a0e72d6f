"""Figures: medians, ratios of the same round, floors, and a change since an older run."""

import pytest

from voltpay.cli.bench.figures import Figure, Report, Wanted, read, rows, written
from voltpay.core.errors import Misconfigured

FASTER = Figure("accept", "/s", [100, 300, 200], [200, 300, 400], Wanted(0.5, 0.7, is_ratio=True))


def report(*figures):
    return Report(figures, {"fsync": "on"}, {"cores": "2"})


def test_a_figure_is_the_median_and_its_ratio_is_of_the_same_rounds():
    assert FASTER.median == 200
    assert FASTER.ratio == 0.5
    assert FASTER.holds is True


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (None, None),
        (Wanted(200, 300), True),
        (Wanted(201, 300), False),
        (Wanted(200, 100, is_most=True), True),
        (Wanted(199, 100, is_most=True), False),
        (Wanted(0.5, 0.7, is_ratio=True), None),
    ],
)
def test_a_floor_is_met_or_missed_or_cannot_be_told(wanted, holds):
    assert Figure("x", "/s", [100, 300, 200], wanted=wanted).holds is holds


def test_a_report_comes_back_from_its_file_and_shows_what_changed(tmp_path):
    path = tmp_path / "old.json"
    path.write_bytes(written(report(FASTER)))
    older = read(path)
    assert [figure.median for figure in older.figures] == [200]
    faster = Figure("accept", "/s", [300], [300], FASTER.wanted)
    (row,) = rows(report(faster), older)
    assert row == (
        "accept",
        "300 /s (300 to 300)",
        "1.00",
        "met: at least 0.5 of bare, goal 0.7",
        "+50 %",
    )


def test_a_file_that_is_no_report_is_refused(tmp_path):
    (tmp_path / "x").write_text("{}")
    for path in (tmp_path / "x", tmp_path / "none"):
        with pytest.raises(Misconfigured, match="is no report"):
            read(path)
