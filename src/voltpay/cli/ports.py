"""Ports of this machine."""

import contextlib
import socket
from errno import EACCES, EADDRINUSE
from time import monotonic, sleep
from typing import Final

from voltpay.core.errors import Misconfigured

_PORT_ERRORS: Final = frozenset({EACCES, EADDRINUSE})
_POLL_S: Final = 0.05


class PortTaken(Misconfigured):
    """Somebody listens there, or only root may."""


def free_ports(count: int) -> list[int]:
    """So many TCP ports of loopback that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def refuse_taken(host: str, port: int, flag: str, *, within_s: float = 0.0) -> None:
    """Raise Misconfigured when the port stays in use, or the address is not of this machine."""
    end = monotonic() + within_s
    while True:
        try:
            _refuse_taken(host, port, flag)
        except PortTaken:
            if monotonic() >= end:
                raise
            sleep(_POLL_S)
        else:
            return


def _refuse_taken(host: str, port: int, flag: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "no such host"
            is_port = isinstance(error, OSError) and error.errno in _PORT_ERRORS
            raise (PortTaken if is_port else Misconfigured)(
                f"cannot listen on {host}:{port}: {why}",
                f"choose another with {flag if is_port else '--host'}",
            ) from error
