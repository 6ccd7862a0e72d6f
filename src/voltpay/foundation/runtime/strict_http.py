"""HTTP/1.1 as Voltpay takes it: bounded heads, one meaning or none, every refusal a problem.

uvicorn's protocol on httptools, with what that leaves open about large, slow and malformed heads.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from voltpay.core.errors import Rejected
from voltpay.foundation.runtime import heads
from voltpay.foundation.runtime.heads import Head, HeadersTooLarge
from voltpay.foundation.runtime.http import ANSWERS, request_id_of, whole_problem
from voltpay.foundation.runtime.outgoing import EarlyAnswers, JoinedHttp

HEAD_TIMEOUT_S: Final = 10.0
BODY_TIMEOUT_S: Final = 150.0
"""For handlers without a bound of their own, which is shorter."""
_LINGER_S: Final = 2.0


class StrictHttp(JoinedHttp):
    """One connection. A refusal closes it, after what came before on it is answered.

    A head is bounded as `heads` says, and takes at most `head_timeout_s`; a body `body_timeout_s`.
    An answer before the body's end closes it, too: where the next request begins would be a guess.
    """

    head_timeout_s: ClassVar[float] = HEAD_TIMEOUT_S
    body_timeout_s: ClassVar[float] = BODY_TIMEOUT_S

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.app = EarlyAnswers(self.app, self._hear_nothing_more)
        self._head = Head()
        self._is_begun = False
        self._in_flight = 0
        self._is_deaf = False
        self._refusal: Rejected | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._late: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, unless nothing more is taken."""
        if self._is_deaf:
            return
        self._unset_keepalive_if_required()
        self._head.arrived(len(data))
        try:
            self.parser.feed_data(data)
            self._head.refuse_large()
        except HttpParserUpgrade:
            # Answered as if it had not asked; what may have followed is lost.
            self.cycle.keep_alive, self._is_deaf = False, True
        except (HttpParserError, HeadersTooLarge) as error:
            self._refuse(_rejection_of(error))
        self._await_rest()

    def on_message_begin(self) -> None:
        """Count anew."""
        super().on_message_begin()
        self._is_begun = True
        self._head = Head()

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        super().on_url(url)
        self._head.target(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        super().on_header(name, value)
        self._head.header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the app, if it has one meaning."""
        heads.refuse_many(self._in_flight)
        parser = self.parser
        version, upgrades = parser.get_http_version(), parser.should_upgrade()
        heads.refuse_unclear(version, self.headers, upgrades=upgrades)
        super().on_headers_complete()
        self._head.ended()
        self._in_flight += 1

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._head.ended()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._head.ended()
        self._is_begun = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or tell what was refused, or close."""
        self._in_flight -= 1
        super().on_response_complete()
        if self.transport.is_closing() or self._in_flight:
            return
        if self._refusal:
            self._tell(self._refusal)
        elif self._is_deaf:
            self._linger()
        elif self._is_begun:
            self._unset_keepalive_if_required()
            self._await_rest()

    def _hear_nothing_more(self) -> None:
        self._is_deaf = True

    def _refuse(self, error: Rejected) -> None:
        self._is_deaf = True
        self._refusal = error
        if self._in_flight and self.cycle.more_body:
            self._abandon(self.cycle)
        if not self._in_flight:
            self._tell(error)

    def _abandon(self, cycle: RequestResponseCycle) -> None:
        """The body of the newest request is what is wrong: for its handler, the client is gone."""
        cycle.disconnected = True
        cycle.message_event.set()
        self._in_flight -= 1
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()

    def _tell(self, error: Rejected) -> None:
        self.transport.write(whole_problem(error, request_id_of(self.headers or ())))
        ANSWERS.labels(error.status).inc()
        self._linger()

    def _linger(self) -> None:
        """Close once the client has closed, or a moment later.

        Closed with unread bytes a socket is reset, and the client may never see the answer.
        """
        self._unset_keepalive_if_required()
        self._forget_timer()
        self.flow.resume_reading()
        self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER_S, self.transport.close)

    def _await_rest(self) -> None:
        if self._is_deaf:
            return
        if not self._in_flight:
            self._bound(self._head_is_late, self.head_timeout_s)
        elif self.cycle.more_body:
            self._bound(self._body_is_late, self.body_timeout_s)
        else:
            self._forget_timer()

    def _bound(self, late: Callable[[], None], timeout_s: float) -> None:
        if self._timer is None or self._late != late:
            self._forget_timer()
            self._late, self._timer = late, self.loop.call_later(timeout_s, late)

    def _head_is_late(self) -> None:
        # An answer to nothing might be taken for the one to a request that comes just now.
        if self._is_begun:
            self._refuse(heads.HeadersTooSlow(f"at most {self.head_timeout_s:g} s"))
        else:
            self._linger()

    def _body_is_late(self) -> None:
        self._refuse(heads.BodyTooSlow(f"at most {self.body_timeout_s:g} s"))

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def strict_http(head_timeout_s: float, body_timeout_s: float) -> type[StrictHttp]:
    """The protocol with bounds on how long a head and a body may take."""
    bounds = {"head_timeout_s": head_timeout_s, "body_timeout_s": body_timeout_s}
    return type("BoundedHttp", (StrictHttp,), bounds)


def _rejection_of(error: Exception) -> Rejected:
    """What a callback raised within the parser, else that the parser understands nothing."""
    for found in (error, error.__context__):
        if isinstance(found, Rejected):
            return found
    return heads.MalformedRequest("it cannot be parsed, or says in two ways where it ends")
