"""Connections to one server: opened when first needed, bounded in number and in time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, cast

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from voltpay.core.errors import Broken, Unavailable, VoltpayError

Word = str | bytes | int

_AWAY_CODES: Final = frozenset({"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF"})


class ServerFull(Unavailable):
    """The server is at its memory bound and refused a command."""

    title = "A store is full"


class ServerRefused(Broken):
    """The server refused a command that should not have been sent: a defect of ours."""


def is_readable(url: str) -> bool:
    """Whether a connection can be made of a URL; connects nothing."""
    try:
        make: Callable[[], AbstractConnection] = ConnectionPool.from_url(url).make_connection
        make()
    except (TypeError, ValueError, RedisError):
        return False
    return True


class Script:
    """A Lua script of the folder `lua`, whole or composed of several files, in this order.

    The first file begins with the `#!lua` line, which says what the script may do.
    """

    def __init__(self, *names: str) -> None:
        self._names = names

    @property
    def text(self) -> str:
        """The source, read at the first use."""
        return _source_of(self._names)[0]

    @property
    def digest(self) -> str:
        """What EVALSHA knows it by."""
        return _source_of(self._names)[1]


@lru_cache
def _source_of(names: tuple[str, ...]) -> tuple[str, str]:
    folder = files(__package__) / "lua"
    text = "".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()


class Server:
    """Commands and scripts on one server, each with one round trip on a connection of its own.

    Never retries. Raises `away` when the server cannot be reached, is loading, or has a full
    disk, `slow` when a reply takes longer than its bound (what was sent may still happen), and
    what `errors` makes of the text after an error's code.
    """

    def __init__(
        self,
        url: str,
        *,
        away: type[Unavailable],
        slow: type[Unavailable],
        errors: Mapping[str, Callable[[str], VoltpayError]] = MappingProxyType({}),
        timeout_ms: int = 5_000,
        connections_max: int = 32,
    ) -> None:
        self._away = away
        self._slow = slow
        self._errors = errors
        self._timeout_ms = timeout_ms
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=min(1.0, timeout_ms / 1000),
            retry=Retry(NoBackoff(), 0),
        )
        self._make: Callable[[], AbstractConnection] = self._pool.make_connection
        self._idle: list[AbstractConnection] = []
        self._free = asyncio.Semaphore(connections_max)
        self._is_closed = False

    # A reply is whatever the command gives: its caller knows the shape.
    async def call(self, *words: Word, timeout_ms: int | None = None) -> Any:
        """The reply to one command: integers, bytes, None and lists of them."""
        return (await self.calls(words, timeout_ms=timeout_ms))[0]

    async def calls(
        self, *commands: tuple[Word, ...], timeout_ms: int | None = None
    ) -> Sequence[Any]:
        """The replies to commands that go out together; others' may come in between."""
        bound_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        try:
            async with asyncio.timeout(bound_ms / 1000), self._free:
                return await self._exchange(commands)
        except TimeoutError as error:
            raise self._slow(f"no reply within {bound_ms} ms") from error
        except NoScriptError:
            raise
        except ResponseError as error:
            raise self._translated(error) from error
        except (OSError, RedisError) as error:
            raise self._away(f"{type(error).__name__}: {error}") from error

    async def run(self, script: Script, keys: Sequence[Word], words: Sequence[Word] = ()) -> Any:
        """The reply of a script. A server that does not know it yet gets the source."""
        try:
            return await self.call("EVALSHA", script.digest, len(keys), *keys, *words)
        except NoScriptError:
            return await self.call("EVAL", script.text, len(keys), *keys, *words)

    async def scanned(self, pattern: Word) -> AsyncIterator[list[bytes]]:
        """Keys of a pattern, page by page; one may come twice."""
        cursor = b"0"
        while True:
            cursor, keys = await self.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1_000)
            if keys:
                yield keys
            if cursor == b"0":
                return

    async def _exchange(self, commands: Sequence[tuple[Word, ...]]) -> Sequence[Any]:
        if self._is_closed:
            raise self._away("the connection was closed")
        connection = self._idle.pop() if self._idle else self._make()
        try:
            await self._pool.ensure_connection(connection)
            # The client's own packing is Python: a twentieth of what routing did.
            packed = [pack_command(cast("Any", words)) for words in commands]
            await connection.send_packed_command(packed, check_health=False)
            replies = [await _reply_of(connection) for _ in commands]
        except BaseException:
            # Cancelled or timed out: its reply may still come, so nobody may use it again.
            await connection.disconnect(nowait=True)
            raise
        await self._give_back(connection)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    async def _give_back(self, connection: AbstractConnection) -> None:
        if self._is_closed:
            await connection.disconnect(nowait=True)
        else:
            self._idle.append(connection)

    def _translated(self, error: ResponseError) -> VoltpayError:
        text = str(error)
        code, _, rest = text.partition(" ")
        if isinstance(error, OutOfMemoryError):
            return self._errors.get("OOM", ServerFull)(text)
        if code in self._errors:
            return self._errors[code](rest)
        if code in _AWAY_CODES or isinstance(error, (ReadOnlyError, ClusterError)):
            return self._away(f"the server cannot serve: {text}")
        return ServerRefused(text)

    async def close(self) -> None:
        """Close what is idle now, and the rest when its reply is there."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)


async def _reply_of(connection: AbstractConnection) -> Any:
    """A reply; an error that the server answered is one, too: others may stand behind it."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
