"""What a server says of itself, and whether that could lose what it acknowledged."""

from collections.abc import Mapping
from typing import Final

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.redis.connect import Server

_PROMISED: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
}


async def durability_of(server: Server) -> Mapping[str, str]:
    """CONFIG GET of what makes a write durable and keeps the server within its memory."""
    words = await server.call("CONFIG", "GET", *_PROMISED, "maxmemory")
    texts = [word.decode() for word in words]
    return dict(zip(texts[::2], texts[1::2], strict=True))


async def refuse_unsafe(server: Server, what: str) -> None:
    """Raise Misconfigured, naming the setting that could lose an acknowledged write."""
    told = await durability_of(server)
    for name, wanted in _PROMISED.items():
        if told.get(name) != wanted:
            raise Misconfigured(f"{what} has {name} {told.get(name)}", f"set {name} {wanted}")
    if told.get("maxmemory") == "0":
        raise Misconfigured(f"{what} has no maxmemory", "set one: it bounds what it holds")
