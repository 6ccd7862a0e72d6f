"""What the tests of routing share."""

from collections.abc import AsyncIterator, Callable

import pytest
from tests.routing.simulated import House, SimulatedProcessor

from voltpay.foundation.engines.postgres.pool import Postgres


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Postgres]:
    """A pool on a fresh database."""
    pool = Postgres(database_url, name="test", size_max=6)
    yield pool
    await pool.close()


@pytest.fixture
def house(database: Postgres) -> Callable[..., House]:
    """Makes routing processes on one database; by default with `default` and `fallback`."""

    def make(*processors: SimulatedProcessor, **changes: object) -> House:
        both = (SimulatedProcessor("default"), SimulatedProcessor("fallback"))
        return House(database, processors or both, **changes)

    return make
