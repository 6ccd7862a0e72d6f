"""The ledger put together: what it hands to roles, links and commands."""

from typing import cast

import pytest
from pydantic import ValidationError
from tests.ledger.books import Books, settled, taken

from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.seams.cache import Cache
from voltpay.foundation.seams.intake import Intake
from voltpay.foundation.seams.log import Log, LogAdmin
from voltpay.services.ledger.post import Post
from voltpay.services.ledger.settings import LedgerSettings
from voltpay.services.ledger.wire import build


def engines(url: str) -> Engines:
    """Engines of which the ledger may use PostgreSQL alone."""
    return Engines(
        log=cast("Log", None),
        admin=cast("LogAdmin", None),
        intake=cast("Intake", None),
        cache=cast("Cache", None),
        database_url=url,
        replica_urls=[],
        sealer=Sealer(b"0" * 32),
        instance="test",
    )


async def test_the_parts_of_a_built_ledger_work_on_one_database(
    books: Books, database_url: str
) -> None:
    ledger = build(engines(database_url), LedgerSettings())
    stage = cast("Post", ledger.part.stages["post"])
    for periodic in ledger.part.periodics:
        await periodic.run()
    fact = settled()
    await stage.own([3])
    published = await stage(taken([fact]))
    seen = [one async for chunk in ledger.facts(0) for one in chunk]
    asked = [(fact.payment.id, fact.attempt.requested_at_ms)]
    assert [one.settled for one in seen] == [one.settled for one in published] == [fact]
    assert await ledger.posted_among(asked) == {fact.payment.id}
    await stage.release([3])
    await ledger.part.close()


def test_building_one_opens_nothing() -> None:
    ledger = build(engines("postgresql://nobody@127.0.0.1:1/none"), LedgerSettings())
    assert set(ledger.part.stages) == {"post"}


@pytest.mark.parametrize("settings", [{"batch_max": 0}, {"batch_max": 10_001}, {"batch": 5}])
def test_settings_out_of_bounds_or_unknown_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        LedgerSettings.model_validate(settings)
