"""What is on its way: promises that are open, and the records that nobody has finished."""

from uuid import UUID

from voltpay.core.codec import decode
from voltpay.core.errors import Broken
from voltpay.core.messages import standing_of
from voltpay.services.reconciliation.sources import Sources


async def promises_of(sources: Sources) -> frozenset[UUID]:
    """Payments that the intake promised and has not seen settled."""
    return frozenset([each async for page in sources.promised() for each in page])


async def payments_on_log(sources: Sources) -> frozenset[UUID]:
    """Payments that an unfinished record of the log is about."""
    found: set[UUID] = set()
    for lane in sources.lanes.values():
        async for bodies in lane.unfinished():
            found.update(each for each in map(_about, bodies) if each is not None)
    return frozenset(found)


def _about(body: bytes) -> UUID | None:
    """The payment of a record; None for bytes that are no message, or a letter round such."""
    try:
        payment_id = standing_of(decode(body))[0]
    except Broken:
        return None
    return UUID(payment_id) if payment_id else None
