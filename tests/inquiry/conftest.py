"""Inquiry on real engines, with links that a test fills by hand."""

from collections.abc import AsyncIterator

import pytest
from httpx import ASGITransport, AsyncClient
from tests.inquiry.stand import Stand, opened, stand_on


@pytest.fixture
async def stand(database_url: str, log_url: str, cache_url: str) -> AsyncIterator[Stand]:
    """Inquiry, owning all partitions."""
    async with opened(database_url, log_url, cache_url) as engines:
        made = stand_on(engines)
        await made.project.own(range(4))
        yield made
        await made.inquiry.part.close()


@pytest.fixture
async def client(stand: Stand) -> AsyncIterator[AsyncClient]:
    """An HTTP client of the handlers."""
    transport = ASGITransport(stand.app())
    async with AsyncClient(transport=transport, base_url="http://voltpay") as made:
        yield made
