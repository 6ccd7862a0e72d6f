"""Books whose usual day has its partitions."""

from collections.abc import AsyncIterator

import pytest
from tests.ledger.books import DAY, Books, opened


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    """Empty books, and partitions for the usual day."""
    async with opened(database_url) as made:
        await made.store.prepare_day(DAY)
        yield made
