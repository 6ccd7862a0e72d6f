"""HTTP/1.1 as Voltpay takes it, over raw sockets: what is refused, and what becomes of the line."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from litestar import Request, get, post
from tests.runtime.served import request, served

from voltpay.foundation.runtime.heads import HEAD_BYTES_MAX, HEADERS_MAX, PIPELINED_MAX
from voltpay.foundation.runtime.http import PROBLEM_BASE, BadRequest
from voltpay.foundation.runtime.serve import make_app

CHUNKED = {"Transfer-Encoding": "chunked"}
HANGS = 60


class Desk:
    """Handlers that show what reaches them."""

    def __init__(self):
        self.bodies = []
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()

    def handlers(self):
        @get("/hello")
        async def hello() -> dict[str, str]:
            return {"hello": "world"}

        @get("/slow")
        async def slow() -> dict[str, str]:
            self.begun.set()
            await self.gate.wait()
            return {"slow": "at last"}

        @post("/body", status_code=200)
        async def body(request: Request) -> dict[str, int]:
            self.begun.set()
            self.bodies.append(await request.body())
            return {"bytes": len(self.bodies[-1])}

        @post("/refusing")
        async def refuse() -> None:
            raise BadRequest("whatever it says")

        return [hello, slow, body, refuse]


@asynccontextmanager
async def serving(**bounds):
    """Served handlers, and the desk behind them."""
    desk = Desk()
    async with served(make_app(desk.handlers(), dict, {}), **bounds) as http:
        http.desk = desk
        yield http
        desk.gate.set()


@pytest.fixture
async def http():
    async with serving() as made:
        yield made


async def refused(line, status, slug):
    """The next answer is this refusal, and then the line is closed."""
    got = await line.answer()
    assert (got.status, got.body["type"]) == (status, PROBLEM_BASE + slug)
    assert got.body["status"] == status
    assert got.body["title"]
    assert got.body["detail"]
    assert got.headers["content-type"] == "application/problem+json"
    assert got.headers["connection"] == "close"
    assert got.headers["x-request-id"]
    assert await line.rest() == b""
    return got


def headers(count):
    """So many headers, the Host of `request` not counted."""
    return {f"X-{number}": "v" for number in range(count)}


async def test_as_many_headers_as_the_bound_are_taken_and_one_more_is_refused(http):
    async with http.line() as line:
        await line.send(request("GET", "/hello", headers(HEADERS_MAX - 1)))
        assert (await line.answer()).status == 200
        await line.send(request("GET", "/hello", headers(HEADERS_MAX)))
        await refused(line, 431, "headers-too-large")


@pytest.mark.parametrize("count", [10_000])
async def test_thousands_of_headers_are_refused(http, count):
    async with http.line() as line:
        await line.send(request("GET", "/hello", headers(count)))
        await refused(line, 431, "headers-too-large")


async def test_a_head_up_to_the_bound_is_taken_and_a_larger_one_refused(http):
    bare = len("/hello") + len("Host: test\r\n") + len("X: \r\n")
    async with http.line() as line:
        await line.send(request("GET", "/hello", {"X": "v" * (HEAD_BYTES_MAX - bare)}))
        assert (await line.answer()).status == 200
        await line.send(request("GET", "/hello", {"X": "v" * (HEAD_BYTES_MAX - bare + 1)}))
        await refused(line, 431, "headers-too-large")


@pytest.mark.parametrize(
    "begin",
    [b"GET /hello HTTP/1.1\r\nX: ", b"GET /hello HTTP/1.1\r\n", b"GET /", b"\r\n", b"G"],
    ids=["value", "name", "target", "nothing", "method"],
)
async def test_a_head_that_never_ends_is_refused_when_it_is_too_large(http, begin):
    endless = b"\r\n" if begin == b"\r\n" else b"a"
    async with http.line() as line:
        await line.send(begin)
        for _ in range(80):
            await line.send(endless * (1024 // len(endless)))
            await asyncio.sleep(0)
        got = await line.answer()
        assert got.status == (400 if begin == b"G" else 431)
        assert await line.rest() == b""


async def test_a_chunked_body_may_have_trailers_but_not_without_end(http):
    async with http.line() as line:
        await line.send(request("POST", "/body", CHUNKED))
        await line.send(b"2\r\nab\r\n0\r\nTrailer: v\r\n\r\n")
        assert (await line.answer()).body == {"bytes": 2}
        await line.send(request("POST", "/body", CHUNKED))
        await line.send(b"2\r\nab\r\n0\r\n" + b"Trailer: v\r\n" * HEADERS_MAX)
        await refused(line, 431, "headers-too-large")
    assert http.desk.bodies == [b"ab"]


@pytest.mark.parametrize("sent", [b"G", b"GET /hel", b"GET /hello HTTP/1.1\r\nHost: t"], ids=repr)
async def test_a_head_that_comes_too_slowly_is_refused(sent):
    async with serving(head_timeout_s=0.2) as http, http.line() as line:
        await line.send(sent)
        await refused(line, 408, "headers-too-slow")


@pytest.mark.parametrize("sent", [b"", b"\r\n"], ids=repr)
async def test_a_connection_on_which_nothing_begins_is_closed_without_a_word(sent):
    async with serving(head_timeout_s=0.2) as http, http.line() as line:
        await line.send(sent)
        assert await line.rest() == b""


async def test_a_drip_of_bytes_does_not_prolong_the_time_for_a_head():
    async with serving(head_timeout_s=0.3) as http, http.line() as line:
        answer = asyncio.create_task(refused(line, 408, "headers-too-slow"))
        for mark in request("GET", "/hello", {"X": "v" * HANGS * 20}):
            if answer.done():
                break
            await line.send(bytes([mark]))
            await asyncio.sleep(0.05)
        await answer


async def test_a_second_head_that_is_slow_is_refused_after_the_first_was_answered():
    async with serving(head_timeout_s=0.2) as http, http.line() as line:
        await line.send(request("GET", "/hello") + b"GET /hel")
        assert (await line.answer()).status == 200
        await refused(line, 408, "headers-too-slow")


async def test_a_line_that_rests_between_requests_is_kept():
    async with serving(head_timeout_s=0.1) as http, http.line() as line:
        for _ in range(2):
            await line.send(request("GET", "/hello"))
            assert (await line.answer()).status == 200
            await asyncio.sleep(0.3)
        await line.send(request("GET", "/hello"))
        assert (await line.answer()).status == 200


async def test_an_answer_that_takes_long_is_not_a_slow_head():
    async with serving(head_timeout_s=0.1) as http, http.line() as line:
        await line.send(request("GET", "/slow") + b"GET /hel")
        await asyncio.sleep(0.3)
        http.desk.gate.set()
        assert (await line.answer()).body == {"slow": "at last"}
        await refused(line, 408, "headers-too-slow")


async def test_a_body_that_never_ends_is_refused_whatever_its_handler_waits_for():
    async with serving(body_timeout_s=0.2) as http, http.line() as line:
        await line.send(request("POST", "/body", {"Content-Length": "9"}) + b"abc")
        await refused(line, 408, "body-too-slow")
    assert http.desk.bodies == []


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "words": b"hello, are you there?\r\n\r\n",
    "an unknown method": b"PAY /hello HTTP/1.1\r\nHost: t\r\n\r\n",
    "no version": b"GET /hello\r\nHost: t\r\n\r\n",
    "another version": b"GET /hello HTTP/3.7\r\nHost: t\r\n\r\n",
    "HTTP/2 in words": b"GET /hello HTTP/2.0\r\nHost: t\r\n\r\n",
    "HTTP/2 itself": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no path": b"CONNECT test:80 HTTP/1.1\r\nHost: t\r\n\r\n",
    "a space before the colon": b"GET /hello HTTP/1.1\r\nHost : t\r\n\r\n",
    "a folded header": b"GET /hello HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n",
    "a null in a header": b"GET /hello HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n",
    "bare line feeds": b"GET /hello HTTP/1.1\nHost: t\n\n",
    "no host": b"GET /hello HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /hello HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n",
    "a length of words": b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: two\r\n\r\nab",
    "a negative length": b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: -2\r\n\r\nab",
    "a length beyond all bounds": b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: "
    + b"9" * 30
    + b"\r\n\r\nab",
    "two lengths": b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n"
    b"Content-Length: 3\r\n\r\nab",
    "one length twice": b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n"
    b"Content-Length: 2\r\n\r\nab",
    "two lengths in one": b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 2, 2\r\n\r\nab",
    "a length and chunks": b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 7\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "chunks and a length": b"POST /body HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Length: 7\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "a coding that is none": b"POST /body HTTP/1.1\r\nHost: t\r\n"
    b"Transfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "chunked before another": b"POST /body HTTP/1.1\r\nHost: t\r\n"
    b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /body HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n0\r\n\r\n",
    "a chunk of no size": b"POST /body HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"zz\r\nab\r\n0\r\n\r\n",
    "a chunk larger than it says": b"POST /body HTTP/1.1\r\nHost: t\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_what_is_malformed_is_a_problem_and_reaches_no_handler(http, case):
    async with http.line() as line:
        await line.send(MALFORMED[case])
        await refused(line, 400, "malformed-request")
    assert http.desk.bodies == []
    assert (await http.ask("GET", "/hello")).status == 200


async def test_a_refusal_bears_the_client_s_own_request_id_if_it_came(http):
    async with http.line() as line:
        await line.send(request("GET", "/hello", {"X-Request-Id": "abc-1"}, headers(200)))
        got = await refused(line, 431, "headers-too-large")
    assert got.headers["x-request-id"] == "abc-1"


async def test_what_is_refused_is_counted_with_all_answers(http):
    before = await answers(http, 400)
    async with http.line() as line:
        await line.send(b"garbage\r\n\r\n")
        await refused(line, 400, "malformed-request")
    assert await answers(http, 400) == before + 1


async def test_garbage_behind_a_request_is_refused_after_its_answer(http):
    async with http.line() as line:
        await line.send(request("GET", "/slow") + b"garbage\r\n\r\n")
        await asyncio.wait_for(http.desk.begun.wait(), 5)
        await asyncio.sleep(0.05)
        http.desk.gate.set()
        assert (await line.answer()).body == {"slow": "at last"}
        await refused(line, 400, "malformed-request")


async def test_a_body_that_breaks_behind_a_waiting_request_is_refused_after_its_answer(http):
    async with http.line() as line:
        await line.send(request("GET", "/slow") + request("POST", "/body", CHUNKED) + b"zz\r\n")
        await asyncio.wait_for(http.desk.begun.wait(), 5)
        http.desk.gate.set()
        assert (await line.answer()).body == {"slow": "at last"}
        await refused(line, 400, "malformed-request")
    assert http.desk.bodies == []


async def test_a_body_that_breaks_while_its_handler_reads_is_refused_at_once(http):
    async with http.line() as line:
        await line.send(request("POST", "/body", CHUNKED) + b"2\r\nab\r\n")
        await asyncio.wait_for(http.desk.begun.wait(), 5)
        await line.send(b"zz\r\n")
        await refused(line, 400, "malformed-request")
    assert http.desk.bodies == []


async def test_pipelined_requests_are_answered_in_order_on_one_line(http):
    async with http.line() as line:
        post_ab = request("POST", "/body", {"Content-Length": "2"}) + b"ab"
        await line.send(post_ab + request("GET", "/hello") + post_ab)
        assert (await line.answer()).body == {"bytes": 2}
        assert (await line.answer()).body == {"hello": "world"}
        assert (await line.answer()).body == {"bytes": 2}


async def test_more_pipelined_requests_than_the_bound_are_refused_after_the_others(http):
    async with http.line() as line:
        await line.send(request("GET", "/hello") * (PIPELINED_MAX + 9))
        for _ in range(PIPELINED_MAX):
            assert (await line.answer()).status == 200
        await refused(line, 429, "too-many-requests")


async def test_a_request_with_neither_length_nor_chunks_has_no_body(http):
    async with http.line() as line:
        await line.send(request("POST", "/body") + request("GET", "/hello"))
        assert (await line.answer()).body == {"bytes": 0}
        assert (await line.answer()).body == {"hello": "world"}


@pytest.mark.parametrize(
    "framing", [{"Content-Length": "2000000"}, CHUNKED], ids=["length", "chunks"]
)
async def test_an_answer_before_the_body_s_end_is_read_and_closes_the_line(http, framing):
    async with http.line() as line:
        await line.send(request("POST", "/refusing", framing))
        got = await line.answer()
        assert (got.status, got.headers["connection"]) == (400, "close")
        await line.send(b"x" * 100_000)
        await line.send(request("GET", "/hello"))
        assert await line.rest() == b""


async def test_an_answer_after_the_body_s_end_keeps_the_line(http):
    async with http.line() as line:
        await line.send(request("POST", "/refusing", {"Content-Length": "2"}) + b"ab")
        got = await line.answer()
        assert (got.status, "connection" in got.headers) == (400, False)
        await line.send(request("GET", "/hello"))
        assert (await line.answer()).status == 200


async def test_a_client_that_expects_a_go_gets_it_or_the_refusal(http):
    expecting = {"Content-Length": "2", "Expect": "100-continue"}
    async with http.line() as line:
        await line.send(request("POST", "/body", expecting))
        assert (await line.answer()).status == 100
        await line.send(b"ab")
        assert (await line.answer()).body == {"bytes": 2}
        await line.send(request("POST", "/refusing", expecting))
        assert (await line.answer()).status == 400
        assert await line.rest() == b""


UPGRADE = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}


async def test_a_wish_for_another_protocol_is_answered_in_this_one_and_closes(http):
    async with http.line() as line:
        await line.send(request("GET", "/hello", UPGRADE))
        got = await line.answer()
        assert (got.body, got.headers["connection"]) == ({"hello": "world"}, "close")
        assert await line.rest() == b""


@pytest.mark.parametrize("framing", [{"Content-Length": "2"}, CHUNKED], ids=["length", "chunks"])
async def test_a_wish_for_another_protocol_with_a_body_is_refused(http, framing):
    async with http.line() as line:
        await line.send(request("POST", "/body", UPGRADE, framing))
        await refused(line, 400, "malformed-request")
    assert http.desk.bodies == []


async def test_a_client_that_hangs_up_in_a_body_is_no_failure_of_ours(http):
    failures = await answers(http, 500)
    async with http.line() as line:
        await line.send(request("POST", "/body", {"Content-Length": "9"}) + b"abc")
        await asyncio.wait_for(http.desk.begun.wait(), 5)
    assert (await http.ask("GET", "/hello")).status == 200
    assert http.desk.bodies == []
    assert await answers(http, 500) == failures


async def answers(http, status):
    """How many answers had this status."""
    metrics = (await http.ask("GET", "/metrics")).raw.decode()
    name = f'voltpay_http_requests_total{{status="{status}"}}'
    found = [line.split()[1] for line in metrics.splitlines() if line.startswith(name)]
    return float(found[0]) if found else 0
