"""A skip is a failure where nothing may be skipped, and only there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.tree import ROOT

SKIPPING = """
import pytest
def test_skips(): pytest.skip("no engine")
@pytest.mark.skip(reason="no time")
def test_is_marked(): pass
@pytest.mark.xfail(reason="known")
def test_fails_as_expected(): assert False
def test_passes(): pass
"""


def outcome(folder: Path, source: str, *, no_skip: str) -> str:
    """The closing line of pytest on a file of this source."""
    (folder / "test_it.py").write_text(source)
    bare = ["-c", os.devnull, "--rootdir", str(folder)]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.noskip", *bare, folder],
        cwd=ROOT,
        env=os.environ | {"VOLTPAY_NO_SKIP": no_skip},
        capture_output=True,
        text=True,
        check=False,
    )
    closing: str = ended.stdout.splitlines()[-1]
    return closing.rpartition(" in ")[0].strip("= ")


@pytest.mark.parametrize(
    ("no_skip", "closing"),
    [("1", "1 failed, 1 passed, 1 xfailed, 1 error"), ("", "1 passed, 2 skipped, 1 xfailed")],
)
def test_a_skipped_test(tmp_path: Path, no_skip: str, closing: str) -> None:
    assert outcome(tmp_path, SKIPPING, no_skip=no_skip) == closing


@pytest.mark.parametrize(("no_skip", "closing"), [("1", "1 error"), ("", "1 skipped")])
def test_a_skipped_module(tmp_path: Path, no_skip: str, closing: str) -> None:
    source = "import pytest\npytest.importorskip('no_such_module')\n"
    assert outcome(tmp_path, source, no_skip=no_skip) == closing
