"""Real traffic: payments at a steady rate, some repeated or changed, each step in a history."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from voltpay.services.reconciliation.evidence import Asked
from voltpay.services.reconciliation.history import History, Line, Outcome, folded

TIMEOUT_S: Final = 10
REPEAT_SHARE: Final = 0.05
CHANGED_SHARE: Final = 0.01
PERSONAL_SHARE: Final = 0.1
PERSONAL: Final = "person-who-pays"
"""In every e-mail address and description that the load sends: nobody may keep it in clear."""
ACCOUNTS: Final = 500
_IN_FLIGHT_MAX: Final = 512
_RECENT: Final = 4_000
_TROUBLES: Final = 20
_UNCLEAR: Final = frozenset({408, 409, 429})


class Shot(msgspec.Struct, frozen=True):
    """One payment to ask for."""

    payment_id: UUID
    amount_minor: int
    account: str
    is_personal: bool = False

    def body(self) -> bytes:
        """The request's body."""
        units, cents = divmod(self.amount_minor, 100)
        return (
            f'{{"correlationId":"{self.payment_id}","amount":{units}.{cents:02d},'
            f'"accountId":"{self.account}"{_PERSONAL if self.is_personal else ""}}}'
        ).encode()


_PERSONAL: Final = f',"email":"{PERSONAL}@example.org","description":"for {PERSONAL}"'


class Load:
    """Sends `rate_per_s` payments a second, open loop, drawn from `seed`.

    5 % are repeats, and 1 % come under the id of another payment with another amount.

    Before and after every request a line goes to `history`, if one is given. `latencies_ms` holds
    the latest answers' times, `troubles` the latest requests without one. `certificate` (PEM) is
    trusted besides the system's.
    """

    def __init__(
        self,
        url: str,
        *,
        rate_per_s: float,
        seed: int,
        history: History | None = None,
        certificate: bytes | None = None,
    ) -> None:
        self.statuses: Counter[str] = Counter()
        self.sent = 0
        self.repeats = 0
        self.latencies_ms: deque[float] = deque(maxlen=_RECENT)
        self.troubles: deque[str] = deque(maxlen=_TROUBLES)
        self._url = f"{url}/payments"
        self._history = history
        self._certificate = certificate
        self._rate_per_s = rate_per_s
        self._chance = random.Random(seed)  # noqa: S311
        self._shots: list[Shot] = []
        self._lines: list[Line] = []
        self._promised: set[UUID] = set()
        self._latest: deque[UUID] = deque(maxlen=_RECENT)
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_over = False

    async def run(self, seconds: float) -> None:
        """Send for so long, then wait for the answers under way."""
        builder = ClientBuilder().timeout(timedelta(seconds=TIMEOUT_S))
        if self._certificate is not None:
            builder = builder.add_root_certificate_pem(self._certificate)
        async with builder.max_connections(_IN_FLIGHT_MAX).build() as client:
            began = perf_counter()
            while (elapsed := perf_counter() - began) < seconds and not self._is_over:
                due = int(elapsed * self._rate_per_s)
                while self.sent < due and len(self._under_way) < _IN_FLIGHT_MAX:
                    self._send(client)
                await asyncio.sleep(0.005)
            while self._under_way:
                await asyncio.wait(self._under_way)

    def end(self) -> None:
        """Send no more."""
        self._is_over = True

    def asked(self) -> Sequence[Asked]:
        """Every payment once, with the best answer that it got."""
        return folded(self._lines)

    @property
    def promised_lately(self) -> Sequence[UUID]:
        """Payments that were promised, the latest of them."""
        return list(self._latest)

    @property
    def accepted(self) -> int:
        """How many payments were promised, repeats not counted."""
        return len(self._promised)

    def percentile_ms(self, share: float) -> float:
        """That percentile of the latest answers' times."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def _send(self, client: Client) -> None:
        self.sent += 1
        task = asyncio.create_task(self._shoot(client, self._next()))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _next(self) -> Shot:
        drawn = self._chance.random()
        if self._shots and drawn < REPEAT_SHARE + CHANGED_SHARE:
            former = self._chance.choice(self._shots[-2_000:])
            if drawn < CHANGED_SHARE:
                return replace(former, amount_minor=former.amount_minor + 1)
            self.repeats += 1
            return former
        shot = Shot(
            UUID(int=self._chance.getrandbits(128), version=4),
            self._chance.randint(1, 50_000),
            f"account-{self._chance.randrange(ACCOUNTS)}",
            self._chance.random() < PERSONAL_SHARE,
        )
        self._shots.append(shot)
        return shot

    async def _shoot(self, client: Client, shot: Shot) -> None:
        await self._note(shot, "asked")
        outcome = await self._outcome(client, shot)
        await self._note(shot, outcome)
        if outcome == "ok":
            self._promised.add(shot.payment_id)
            self._latest.append(shot.payment_id)

    async def _note(self, shot: Shot, outcome: Outcome) -> None:
        line = Line(shot.payment_id, shot.amount_minor, outcome)
        self._lines.append(line)
        if self._history is not None:
            await self._history.note(line)

    async def _outcome(self, client: Client, shot: Shot) -> Outcome:
        began = perf_counter()
        try:
            request = client.post(self._url).body_bytes(shot.body())
            answer = await request.header("content-type", "application/json").build().send()
        except PyreqwestError as error:
            self.statuses[type(error).__name__] += 1
            seconds = perf_counter() - began
            self.troubles.append(f"request {self.sent}, after {seconds:.2f} s: {error!r}")
            return "info"
        status = int(answer.status)
        self.latencies_ms.append((perf_counter() - began) * 1000)
        self.statuses[str(status)] += 1
        return _outcome_of(status)


def _outcome_of(status: int) -> Outcome:
    if status == 202:
        return "ok"
    return "fail" if 400 <= status < 500 and status not in _UNCLEAR else "info"
