"""Names of services, as a container network's resolver tells them: the addresses that run."""

from collections.abc import Callable, Sequence
from typing import Any

from dnslib import QTYPE, RR, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer

_TTL_S = 1


class _Services(BaseResolver):  # type: ignore[misc]
    def __init__(self, addresses_of: Callable[[str], Sequence[str]]) -> None:
        self._addresses_of = addresses_of

    def resolve(self, request: Any, handler: Any) -> Any:  # noqa: ARG002
        reply = request.reply()
        name = request.q.qname
        if request.q.qtype == QTYPE.A:
            for address in self._addresses_of(str(name).rstrip(".")):
                reply.add_answer(RR(name, QTYPE.A, rdata=A(address), ttl=_TTL_S))
        return reply


def served(address: str, port: int, addresses_of: Callable[[str], Sequence[str]]) -> DNSServer:
    """A resolver that runs in threads of its own until its `stop`."""
    quiet = DNSLogger(log="-recv,-send,-request,-reply,-truncated,-error,-data")
    server = DNSServer(_Services(addresses_of), address=address, port=port, logger=quiet)
    server.start_thread()
    return server
