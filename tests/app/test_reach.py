"""Where an engine is, as a URL says it, and who answers there."""

import socketserver
import threading
from typing import ClassVar

import pytest

from voltpay.cli.reach import address_of, spoken_at


@pytest.mark.parametrize(
    ("url", "engine", "shown", "address"),
    [
        ("redis://:p%2Fw@log:6380/0", "Redis", "log:6380", ("log", 6380)),
        ("redis://log", "Redis", "log:6379", ("log", 6379)),
        ("unix:///run/a%20b.sock", "Redis", "/run/a b.sock", "/run/a b.sock"),
        ("postgresql://u:pw@db/x", "PostgreSQL", "db:5432", ("db", 5432)),
        ("postgresql://u@[::1]:6000/x", "PostgreSQL", "::1:6000", ("::1", 6000)),
        ("postgresql://u@%2Frun%2Fpg/x", "PostgreSQL", "/run/pg/.s.PGSQL.5432", None),
        ("postgresql:///x?host=/run/pg&port=5433", "PostgreSQL", "/run/pg/.s.PGSQL.5433", None),
        ("postgresql://u:pw@a,b:5433/x", "PostgreSQL", "a,b:5433", ()),
    ],
)
def test_an_engine_is_shown_without_its_password_and_asked_where_it_is(url, engine, shown, address):
    wanted = shown if address is None else address or None
    assert address_of(url, engine) == (shown, wanted)


@pytest.mark.parametrize(
    ("answers", "speaks"),
    [
        ({b"PING": b"+PONG\r\n"}, "Redis"),
        ({b"PING": b"-NOAUTH\r\n"}, "Redis"),
        ({b"PING": b"HTTP/1.1 400"}, "something else"),
        ({b"PING": b"", b"\0\0\0\x08": b"N"}, "PostgreSQL"),
        ({b"PING": b"E\0\0\0", b"\0\0\0\x08": b"S"}, "PostgreSQL"),
        ({b"PING": b"E\0\0\0"}, None),
        ({}, None),
    ],
)
def test_who_answers_is_told_by_the_first_bytes(answers, speaks):
    with Server(("127.0.0.1", 0), Answer) as server:
        server.answers = answers
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert spoken_at(server.server_address) == speaks
        finally:
            server.shutdown()
            thread.join()


class Server(socketserver.TCPServer):
    """Callers one after the other, each with its answer to the first bytes that it sends."""

    answers: ClassVar[dict[bytes, bytes]] = {}


class Answer(socketserver.BaseRequestHandler):
    """One caller's answer."""

    def handle(self):
        self.request.sendall(self.server.answers.get(self.request.recv(64)[:4], b""))


def test_a_name_that_none_can_have_is_nobody():
    assert spoken_at(("x" * 64, 1)) is None
