"""Asking a server over its socket whether it serves: no client library, no event loop."""

import socket
import struct
from enum import Enum
from pathlib import Path

_TIMEOUT_S = 1.0
_PROTOCOL_3 = 196608


class Answer(Enum):
    """What came back: nothing, "not yet" (it recovers or loads), or that it serves."""

    SILENT = "silent"
    BUSY = "busy"
    SERVING = "serving"


def ask_postgres(path: Path) -> Answer:
    """Begin a session as a client does: a server that serves asks for a password."""
    names = b"user\0voltpay\0database\0voltpay\0\0"
    first = _answer_to(path, struct.pack("!ii", len(names) + 8, _PROTOCOL_3) + names)
    return _judged(first, b"R")


def ask_valkey(path: Path) -> Answer:
    """Ping it: one that still loads its file answers with an error."""
    return _judged(_answer_to(path, b"PING\r\n"), b"+PONG")


def _judged(first: bytes, wanted: bytes) -> Answer:
    if not first:
        return Answer.SILENT
    return Answer.SERVING if first.startswith(wanted) else Answer.BUSY


def _answer_to(path: Path, question: bytes) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(question)
            return connection.recv(64)
    except OSError:
        return b""
