"""Empty a sandbox installation. It does not exist in any other."""

from collections.abc import Awaitable, Callable, Sequence

from litestar import Response, post

from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.postgres.installation import raise_epoch
from voltpay.foundation.engines.postgres.pool import Session
from voltpay.foundation.runtime.http import AnyRequest, problems, refuse_unknown_query
from voltpay.foundation.runtime.parts import Part
from voltpay.processors.sandbox.control import SandboxControl
from voltpay.processors.settings import ProcessorSettings

PurgeOne = Callable[[Session], Awaitable[None]]


class Purge:
    """Raises the epoch, so that whatever is under way is dropped, and empties every store."""

    def __init__(
        self,
        engines: Engines,
        services: Sequence[PurgeOne],
        processors: Sequence[ProcessorSettings],
    ) -> None:
        self._engines = engines
        self._services = services
        self._processors = processors
        self._primary = engines.primary("purge", size_max=1)

    async def __call__(self) -> int:
        """Empty it; gives the new epoch. Repeating it, or the next start, finishes the work.

        The log goes first: while it is purged it accepts nothing, and it is never at an epoch
        below the database's, which would drop what it promises.
        """
        async with self._primary.transaction() as session:
            epoch = await raise_epoch(session)
            for purge in self._services:
                await purge(session)
            await self._engines.admin.purge(epoch)
        await self._engines.cache.clear()
        for processor in self._processors:
            async with SandboxControl(processor.url) as control:
                await control.purge()
        return epoch

    def part(self) -> Part:
        """`POST /purge-payments`."""

        @post("/purge-payments", status_code=204, responses=problems(400, 503))
        async def purge_payments(request: AnyRequest) -> Response[None]:
            """Empty this sandbox: payments, books, read model, journals of its processors."""
            refuse_unknown_query(request, frozenset())
            await self()
            return Response(None, status_code=204)

        return Part(handlers=[purge_payments], close=self._primary.close)
