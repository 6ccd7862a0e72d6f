"""Ports of this machine."""

import contextlib
import socket

from voltpay.core.errors import Misconfigured


def free_ports(count: int) -> list[int]:
    """So many TCP ports of loopback that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def refuse_taken(host: str, port: int, flag: str) -> None:
    """Raise Misconfigured when the port is in use, or the address is not of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Misconfigured(
                f"cannot listen on {host}:{port}: {error.strerror}", f"choose another with {flag}"
            ) from error
