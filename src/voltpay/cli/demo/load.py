"""Real traffic: payments at a steady rate, some of them repeated, each answer kept."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter
from typing import Final
from uuid import UUID

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from voltpay.services.reconciliation.evidence import Asked

TIMEOUT_S: Final = 10
REPEAT_SHARE: Final = 0.05
ACCOUNTS: Final = 500
_IN_FLIGHT_MAX: Final = 512
_RECENT: Final = 4_000
_UNCLEAR: Final = frozenset({408, 409, 429})


class Shot(msgspec.Struct, frozen=True):
    """One payment to ask for."""

    payment_id: UUID
    amount_minor: int
    account: str

    def body(self) -> bytes:
        """The request's body."""
        units, cents = divmod(self.amount_minor, 100)
        return (
            f'{{"correlationId":"{self.payment_id}","amount":{units}.{cents:02d},'
            f'"accountId":"{self.account}"}}'
        ).encode()


class Load:
    """Sends `rate_per_s` payments a second, open loop, drawn from `seed`; 5 % are repeats.

    `asked` says of each id what the client knows; `latencies_ms` holds the latest answers' times.
    """

    def __init__(self, url: str, *, rate_per_s: float, seed: int) -> None:
        self.statuses: Counter[str] = Counter()
        self.sent = 0
        self.repeats = 0
        self.latencies_ms: deque[float] = deque(maxlen=_RECENT)
        self._url = f"{url}/payments"
        self._rate_per_s = rate_per_s
        self._chance = random.Random(seed)  # noqa: S311
        self._shots: list[Shot] = []
        self._outcomes: dict[UUID, str] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Send for so long, then wait for the answers under way."""
        builder = ClientBuilder().timeout(timedelta(seconds=TIMEOUT_S))
        async with builder.max_connections(_IN_FLIGHT_MAX).build() as client:
            began = perf_counter()
            while (elapsed := perf_counter() - began) < seconds:
                due = int(elapsed * self._rate_per_s)
                while self.sent < due and len(self._under_way) < _IN_FLIGHT_MAX:
                    self._send(client)
                await asyncio.sleep(0.005)
            while self._under_way:
                await asyncio.wait(self._under_way)

    def asked(self) -> Sequence[Asked]:
        """The history: every id once, with the best answer that it got."""
        return [
            Asked(shot.payment_id, shot.amount_minor, self._outcomes.get(shot.payment_id, "info"))
            for shot in self._shots
        ]

    @property
    def accepted(self) -> int:
        """How many payments were promised, repeats not counted."""
        return sum(1 for outcome in self._outcomes.values() if outcome == "ok")

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
        if self._shots and self._chance.random() < REPEAT_SHARE:
            self.repeats += 1
            return self._chance.choice(self._shots[-2_000:])
        shot = Shot(
            UUID(int=self._chance.getrandbits(128), version=4),
            self._chance.randint(1, 50_000),
            f"account-{self._chance.randrange(ACCOUNTS)}",
        )
        self._shots.append(shot)
        return shot

    async def _shoot(self, client: Client, shot: Shot) -> None:
        began = perf_counter()
        try:
            request = client.post(self._url).body_bytes(shot.body())
            answer = await request.header("content-type", "application/json").build().send()
            status = int(answer.status)
        except PyreqwestError as error:
            self.statuses[type(error).__name__] += 1
            self._note(shot, "info")
            return
        self.latencies_ms.append((perf_counter() - began) * 1000)
        self.statuses[str(status)] += 1
        self._note(shot, _outcome_of(status))

    def _note(self, shot: Shot, outcome: str) -> None:
        rank = {"ok": 2, "info": 1, "fail": 0}
        known = self._outcomes.get(shot.payment_id)
        if known is None or rank[outcome] > rank[known]:
            self._outcomes[shot.payment_id] = outcome


def _outcome_of(status: int) -> str:
    if status == 202:
        return "ok"
    return "fail" if 400 <= status < 500 and status not in _UNCLEAR else "info"
