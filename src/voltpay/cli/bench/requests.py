"""Requests as bytes, made before they are sent: clients that cost the server's cores little."""

import os
from collections.abc import Iterator
from itertools import count
from typing import Final
from urllib.parse import urlsplit

Requests = Iterator[bytes]
"""Whole HTTP/1.1 requests, one after the other, without end."""

_ACCOUNTS: Final = 10_000


def payments(url: str, account: str = '"accountId":"account-{}"') -> Requests:
    """Requests to pay: every id a new one, ten thousand accounts. `account` is how one is named."""
    mark = os.urandom(8).hex()
    before, after = account.split("{}")
    for number in count():
        body = (
            f'{{"correlationId":"{mark[:8]}-{mark[8:12]}-4{mark[12:15]}-8{number >> 48:03x}-'
            f'{number & 0xFFFFFFFFFFFF:012x}","amount":19.90,'
            f"{before}{number * 7919 % _ACCOUNTS}{after}}}"
        )
        yield post(url, "/payments", body)


def accounts_paid(count: int) -> list[str]:
    """The accounts of the first so many of these."""
    return [f"account-{number * 7919 % _ACCOUNTS}" for number in range(count)]


def post(url: str, path: str, body: str) -> bytes:
    """A POST of JSON."""
    host = urlsplit(url).netloc
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def get(url: str, path: str, *, past_cache: bool = False) -> bytes:
    """A GET."""
    more = "Cache-Control: no-cache\r\n" if past_cache else ""
    return f"GET {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n{more}\r\n".encode()
