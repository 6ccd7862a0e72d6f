"""Which payments of an account a page shows, and the opaque cursor to the next one."""

import base64
import binascii
import struct
from typing import Final
from uuid import UUID

from msgspec import Struct

from voltpay.core.errors import Rejected
from voltpay.core.ids import PaymentId
from voltpay.services.inquiry.window import EARLIEST_MS, LATEST_MS, Window

_LAYOUT: Final = struct.Struct(">q16s")
_TEXT_LENGTH: Final = 32


class MalformedCursor(Rejected):
    """The cursor is none that an answer's `next` gave."""

    slug = "malformed-cursor"
    title = "The cursor is malformed"


class Place(Struct, frozen=True):
    """Where a payment stands in an account's list."""

    requested_at_ms: int
    id: PaymentId


class Page(Struct, frozen=True):
    """The payments of a window after a place, of one currency and one outcome if they are given."""

    window: Window = Window(EARLIEST_MS, LATEST_MS)
    after: Place | None = None
    currency: str | None = None
    executed: bool | None = None


def cursor_of(place: Place) -> str:
    """The opaque text of a place."""
    packed = _LAYOUT.pack(place.requested_at_ms, place.id.bytes)
    return base64.urlsafe_b64encode(packed).decode()


def place_of(cursor: str) -> Place:
    """The place that a cursor names. Raises MalformedCursor."""
    try:
        if len(cursor) != _TEXT_LENGTH:
            raise ValueError("length")
        packed = base64.b64decode(cursor, altchars=b"-_", validate=True)
        requested_at_ms, id_bytes = _LAYOUT.unpack(packed)
    except (ValueError, binascii.Error, struct.error) as error:
        raise MalformedCursor("use `next` of the page before", fields=("cursor",)) from error
    if not EARLIEST_MS <= requested_at_ms <= LATEST_MS:
        raise MalformedCursor("use `next` of the page before", fields=("cursor",))
    return Place(requested_at_ms, PaymentId(UUID(bytes=id_bytes)))
