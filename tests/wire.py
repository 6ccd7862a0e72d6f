"""Requests below what a client library sends: raw bytes on a socket, in whatever order and time."""

import contextlib
import http.client
import json
import socket
from dataclasses import dataclass
from email.message import Message

PROBLEM = "urn:voltpay:problem:"
_SILENCE_S = 15


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    raw: bytes

    @property
    def body(self):
        """The JSON."""
        return json.loads(self.raw)


class Wire:
    """One connection to a running Voltpay; use it with `with`."""

    def __init__(self, stack):
        self._socket = socket.create_connection(("127.0.0.1", stack.ports[0]), _SILENCE_S)
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()

    def send(self, *parts):
        """These bytes, now."""
        self._socket.sendall(b"".join(parts))

    def flood(self, parts):
        """One part after the other, until the server takes no more; gives how many it took."""
        count = 0
        with contextlib.suppress(ConnectionError):
            for part in parts:
                self._socket.sendall(part)
                count += 1
        return count

    def answer(self):
        """The next answer."""
        status = int(self._file.readline().split()[1])
        headers = http.client.parse_headers(self._file)
        return Answer(status, headers, self._file.read(int(headers.get("Content-Length", 0))))

    def is_closed(self):
        """Whether the server hangs up, without another byte."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True

    def hang_up(self):
        """Close it."""
        self._file.close()
        self._socket.close()


def head(method, path, *headers):
    """The head of a request; headers are lines."""
    lines = [f"{method} {path} HTTP/1.1", "Host: voltpay", *headers, "", ""]
    return "\r\n".join(lines).encode()


def chunk(content):
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def raw_post(stack, body, headers, *, chunked=False):
    """(status, headers, bytes) of a POST /payments on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", stack.ports[0], timeout=10)
    try:
        content = iter([body[:100], body[100:]]) if chunked else body
        sent = {"Content-Type": "application/json", **headers}
        client.request("POST", "/payments", content, sent, encode_chunked=chunked)
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        client.close()
