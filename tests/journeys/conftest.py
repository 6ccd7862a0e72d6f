"""One running Voltpay for all journeys of a file."""

import shutil
import tempfile
from pathlib import Path

import pytest
from tests.stack import Stack


@pytest.fixture(scope="module")
def folder():
    """A folder that PostgreSQL's own user may enter."""
    root = Path(tempfile.mkdtemp(prefix="voltpay-journey-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def stack(folder):
    """A whole Voltpay, started once for the file."""
    with Stack(folder / "data") as running:
        yield running
