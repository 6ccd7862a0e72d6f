"""Project posted payments into the read model, one statement a batch.

Reads payment.posted · Writes nothing · Needs the read model's tables, Cache
Repeat safe: a payment is inserted once; buckets and balances count only what was inserted
"""

from collections.abc import Iterable, Mapping, Sequence

import structlog
from prometheus_client import Counter

from voltpay.core.errors import Broken, Unavailable
from voltpay.core.messages import Message, PaymentPosted
from voltpay.core.payment import account_of
from voltpay.foundation.engines.postgres.fence import Fence
from voltpay.foundation.runtime.failpoints import reach
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.cache import Cache
from voltpay.services.inquiry import store
from voltpay.services.inquiry.cached import keys_of_account

log = structlog.get_logger()
_PROJECTED = Counter("voltpay_projected_total", "Posted payments, by what became of them", ["what"])
_NOT_DROPPED = Counter(
    "voltpay_projected_drops_missed_total",
    "Batches whose cached answers could not be dropped: they age out",
)


class NotPosted(Broken):
    """A message of another kind stands where posted payments are read."""


class Project:
    """The stage. Its advisory locks are held by the very connection that writes."""

    def __init__(self, fence: Fence, cache: Cache) -> None:
        self._fence = fence
        self._cache = cache

    async def own(self, partitions: Iterable[int]) -> frozenset[int]:
        """Take the locks of these partitions; gives those that it holds."""
        return await self._fence.own(partitions)

    async def release(self, partitions: Iterable[int]) -> None:
        """Give the locks back."""
        await self._fence.release(partitions)

    async def __call__(self, batch: Sequence[Taken]) -> Sequence[Message]:
        """Insert, count, then drop what the cache holds of the accounts. Nothing to publish."""
        facts = [_fact_of(taken) for taken in batch]
        if not facts:
            return []
        async with self._fence.writing({taken.partition for taken in batch}) as session:
            reach("project.before_commit")
            fresh = await store.project(session, facts)
            reach("project.after_commit")
            # Read after the commit, and for repeats too: whoever commits last sees every slot of
            # an anonymous account, and a crash in between repeats the batch.
            accounts = {account_of(fact.settled.payment) for fact in facts}
            versions = await store.versions(session, sorted(accounts))
        _PROJECTED.labels("fresh").inc(fresh)
        _PROJECTED.labels("repeated").inc(len(facts) - fresh)
        await self._drop(versions)
        return []

    async def _drop(self, versions: Mapping[str, int]) -> None:
        drops = [(key, of) for name, of in versions.items() for key in keys_of_account(name)]
        try:
            await self._cache.drop(drops)
        except Unavailable as error:
            _NOT_DROPPED.inc()
            log.warning("inquiry.drops_missed", count=len(drops), why=error.detail)


def _fact_of(taken: Taken) -> PaymentPosted:
    if not isinstance(taken.message, PaymentPosted):
        raise NotPosted(f"{type(taken.message).__name__} at {taken.partition}:{taken.position}")
    return taken.message
