"""Why an engine cannot be used, in one line: which, where, who answers there, and the mend."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

from voltpay.app.engines import open_engines
from voltpay.app.settings import Settings
from voltpay.core.errors import Misconfigured
from voltpay.core.ids import PaymentId
from voltpay.foundation.engines.log_errors import ClaimsAway, LogAway, LogSlow
from voltpay.foundation.engines.postgres.pool import DatabaseAway, DatabaseRefused, Postgres
from voltpay.foundation.engines.redis.cache import CacheAway

_TIMEOUT_MS: Final = 3_000
_LISTEN_S: Final = 1.0
_PORTS: Final = {"Redis": 6379, "PostgreSQL": 5432}
_NOBODY: Final = PaymentId(UUID(int=0))
_PING: Final = b"PING\r\n"
_SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
_USER: Final = "mend user and password in {name}"
_NEVER: Final = {
    "InvalidPasswordError": _USER,
    "InvalidAuthorizationSpecificationError": _USER,
    "uthentication required": _USER,
    "username-password pair": _USER,
    "AUTH <password>": "leave the password out of {name}",
    "InvalidCatalogNameError": "create it, or name another in {name}",
    "`sslmode` parameter": "mend the options in {name}",
}
"""Words of the drivers for what waiting does not mend, and its mend."""

EngineErrors = (LogAway, LogSlow, CacheAway, DatabaseAway, DatabaseRefused)


class LoginRefused(Misconfigured):
    """The database does not let this user in, or not yet."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong with an engine, and the mend. One that is only away may come by itself."""

    wrong: str
    mend: str
    is_away: bool = False
    is_login: bool = False


@contextlib.contextmanager
def explained(settings: Settings, folder: Path | None = None) -> Iterator[None]:
    """Raise Misconfigured, with the mend, for an engine that turns out to be away or none.

    `folder`: of the embedded engines, if they are.
    """
    try:
        yield
    except EngineErrors as error:
        trouble = trouble_of(settings, error, folder)
        if trouble is None:
            raise
        raise Misconfigured(trouble.wrong, trouble.mend) from error


def trouble_of(settings: Settings, error: Exception, folder: Path | None = None) -> Trouble | None:
    """What the error of an engine comes from; None if the engine is there and speaks as it should.

    Asks who answers at its address, which takes up to two seconds.
    """
    name = _setting_of(error)
    url = _urls(settings)[name]
    engine = "PostgreSQL" if name == "database_url" else "Redis"
    if url.startswith("kafka:"):
        engine = "Kafka"
    where, address = address_of(url, engine)
    speaks = None if address is None or url.startswith("rediss:") else spoken_at(address)
    variable = f"VOLTPAY_{name.upper()}"
    if speaks not in {None, engine}:
        return Trouble(f"{name} is not {engine}: {where} speaks {speaks}", f"mend {variable}")
    said = " ".join(str(error).split()).rstrip(".")
    for word, mend in _NEVER.items():
        if word in said:
            refused = f"{name} ({where}) is refused: {said}"
            is_login = engine == "PostgreSQL" and mend is _USER
            return Trouble(refused, mend.format(name=variable), is_login=is_login)
    was_asked = address is not None and not url.startswith("rediss:")
    if speaks == engine or not (was_asked or isinstance(error, LogAway | CacheAway | DatabaseAway)):
        return None
    mend = f"see the logs of the engines in {folder}" if folder else f"start it, or mend {variable}"
    return Trouble(f"{name} ({where}) does not answer: {said}", mend, is_away=True)


def refuse_wrong_engines(settings: Settings) -> None:
    """Raise Misconfigured for an engine that can never be used as the settings name it.

    One that is away is none: roles wait for it.
    """
    for error in asyncio.run(_asked(settings)):
        trouble = trouble_of(settings, error) if error else None
        if trouble and not trouble.is_away:
            raise (LoginRefused if trouble.is_login else Misconfigured)(trouble.wrong, trouble.mend)


def spoken_at(address: tuple[str, int] | str) -> str | None:
    """What the server at a host and port, or at a socket, speaks; None if nobody answers."""
    answer = _answer(address, _PING)
    if answer.startswith((b"+", b"-")):
        return "Redis"
    # PostgreSQL hangs up on it; a pooler in front of one may answer with an error first.
    if not answer or answer.startswith(b"E"):
        return "PostgreSQL" if _answer(address, _SSL_REQUEST) in {b"S", b"N"} else None
    return "something else"


async def _asked(settings: Settings) -> list[Exception | None]:
    opened = open_engines(settings, "check")
    url = settings.database_url.get_secret_value()
    database = Postgres(url, name="voltpay:check", size_max=1, timeout_ms=_TIMEOUT_MS)
    asked = (
        opened.log.durability(),
        opened.intake.find([_NOBODY]),
        opened.cache.get(["check"]),
        database.fetch_value("select 1"),
    )
    try:
        answers = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await opened.close()
        await database.close()
    return [each if isinstance(each, EngineErrors) else None for each in answers]


def _setting_of(error: Exception) -> str:
    if isinstance(error, ClaimsAway):
        return "claims_url"
    if isinstance(error, LogAway | LogSlow):
        return "log_url"
    return "cache_url" if isinstance(error, CacheAway) else "database_url"


def _urls(settings: Settings) -> dict[str, str]:
    return {
        "log_url": settings.log_url,
        "claims_url": settings.claims_url,
        "cache_url": settings.cache_url,
        "database_url": settings.database_url.get_secret_value(),
    }


def address_of(url: str, engine: str) -> tuple[str, tuple[str, int] | str | None]:
    """How to show where an engine is, without its password, and where to connect to."""
    parts = urlsplit(url)
    shown = parts.netloc.rpartition("@")[2]
    if "," in shown or engine == "Kafka":
        # Nothing answers what is asked of the others; its own client says what is wrong.
        return shown, None
    query = parse_qs(parts.query)
    port = parts.port or int(query.get("port", [str(_PORTS[engine])])[0])
    host = unquote(parts.hostname or "") or query.get("host", [""])[0]
    if parts.scheme == "unix":
        return unquote(parts.path), unquote(parts.path)
    if host.startswith("/"):
        path = f"{host}/.s.PGSQL.{port}"
        return path, path
    host = host or "localhost"
    return f"{host}:{port}", (host, port)


def _answer(address: tuple[str, int] | str, question: bytes) -> bytes:
    with contextlib.suppress(OSError, UnicodeError), _connected(address) as line:
        line.settimeout(_LISTEN_S)
        line.sendall(question)
        return line.recv(64)
    return b""


def _connected(address: tuple[str, int] | str) -> socket.socket:
    if not isinstance(address, str):
        return socket.create_connection(address, timeout=_LISTEN_S)
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(address)
    except OSError:
        line.close()
        raise
    return line
