"""One running Voltpay for all faults of a file."""

import shutil
import tempfile
from pathlib import Path

import pytest
from tests.stack import Stack


@pytest.fixture(scope="module")
def folder():
    """A folder that PostgreSQL's own user may enter."""
    root = Path(tempfile.mkdtemp(prefix="voltpay-faults-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def stack(folder):
    """A whole Voltpay, started once for the file."""
    with Stack(folder / "data") as running:
        yield running


@pytest.fixture
def stack_of_its_own(folder, request):
    """A whole Voltpay for one test that leaves something behind."""
    with Stack(folder / request.node.name[:40]) as running:
        yield running
