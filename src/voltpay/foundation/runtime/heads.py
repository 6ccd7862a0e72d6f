"""What the server itself refuses of a request: a head too large or unclear, and what is slow."""

from collections.abc import Sequence
from typing import Final

from voltpay.core.errors import Rejected

HEAD_BYTES_MAX: Final = 32_768
HEADERS_MAX: Final = 100
PIPELINED_MAX: Final = 64
_AROUND_HEADER: Final = len(": \r\n")
_VERSIONS: Final = frozenset({"1.0", "1.1"})


class HeadersTooLarge(Rejected):
    """The request's target and headers are more, or larger, than the server reads."""

    slug = "headers-too-large"
    status = 431
    title = "The headers are too large"


class HeadersTooSlow(Rejected):
    """The client took too long to send the headers of a request."""

    slug = "headers-too-slow"
    status = 408
    title = "The headers did not arrive in time"


class BodyTooSlow(Rejected):
    """The client took too long to send the body: for a payment, `ingest.body_timeout_ms`."""

    slug = "body-too-slow"
    status = 408
    title = "The body did not arrive in time"


class MalformedRequest(Rejected):
    """What came is not HTTP/1.1, or could be read in more than one way."""

    slug = "malformed-request"
    status = 400
    title = "This is not an HTTP/1.1 request"


class TooManyRequests(Rejected):
    """A connection sent more requests than the server keeps before it has answered them."""

    slug = "too-many-requests"
    status = 429
    title = "Too many requests wait for their answers on one connection"


def refuse_many(in_flight: int) -> None:
    """Raise TooManyRequests where one more request would be too many on a connection."""
    if in_flight >= PIPELINED_MAX:
        raise TooManyRequests(f"at most {PIPELINED_MAX} before their answers")


class Head:
    """Counts what arrives of one request beside its body; trailers count as headers."""

    def __init__(self) -> None:
        self._bytes = 0
        self._headers = 0
        self._held_bytes = 0

    def arrived(self, size: int) -> None:
        """So many bytes more; until something ends in them, the parser holds them all."""
        self._held_bytes += size

    def ended(self) -> None:
        """A part of the body, or the request, has ended: nothing is held."""
        self._held_bytes = 0

    def target(self, size: int) -> None:
        """A part of the target. Raises HeadersTooLarge."""
        self._held_bytes = 0
        self._bytes += size
        self.refuse_large()

    def header(self, name: bytes, value: bytes) -> None:
        """A header or trailer. Raises HeadersTooLarge."""
        self._held_bytes = 0
        self._bytes += len(name) + len(value) + _AROUND_HEADER
        self._headers += 1
        if self._headers > HEADERS_MAX:
            raise HeadersTooLarge(f"at most {HEADERS_MAX} headers")
        if self._bytes > HEAD_BYTES_MAX:
            self.refuse_large()

    def refuse_large(self) -> None:
        """Raise HeadersTooLarge when there is too much of it, ended or held."""
        if self._bytes + self._held_bytes > HEAD_BYTES_MAX:
            raise HeadersTooLarge(f"at most {HEAD_BYTES_MAX} bytes of target and headers")


def refuse_unclear(version: str, headers: Sequence[tuple[bytes, bytes]], *, upgrades: bool) -> None:
    """Raise MalformedRequest where a request has no meaning, or two; names are in lower case.

    To the parser a request to upgrade ends with its head: a body would be the next request.
    """
    names = [name for name, _ in headers]
    hosts, is_chunked = names.count(b"host"), b"transfer-encoding" in names
    if version not in _VERSIONS:
        raise MalformedRequest("send HTTP/1.1")
    if hosts > 1 or (not hosts and version == "1.1"):
        raise MalformedRequest("send one Host header")
    if is_chunked and version == "1.0":
        raise MalformedRequest("HTTP/1.0 has no Transfer-Encoding")
    if upgrades and (is_chunked or dict(headers).get(b"content-length", b"0") != b"0"):
        raise MalformedRequest("send no Upgrade with a body")
