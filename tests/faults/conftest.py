"""What only faults need: an installation that a test may leave something behind in."""

import pytest
from tests.stack import Stack


@pytest.fixture
def stack_of_its_own(folder, request):
    """A whole Voltpay for one test."""
    with Stack(folder / request.node.name[:40]) as running:
        yield running
