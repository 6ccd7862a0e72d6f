"""A crowd of clients, each with one request at a time: a closed loop that finds the limit."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter
from typing import Final
from uuid import UUID

from msgspec import Struct
from pyreqwest.client import Client, ClientBuilder

_ACCOUNTS: Final = 10_000
_TIMEOUT: Final = timedelta(seconds=10)


class Burst(Struct, frozen=True):
    """What a crowd got: answers by status, and each answer's milliseconds in order of size."""

    seconds: float
    accepted: int
    others: int
    latencies_ms: Sequence[float]

    @property
    def per_s(self) -> float:
        """Payments accepted a second."""
        return self.accepted / self.seconds

    def percentile_ms(self, share: float) -> float:
        """That percentile of the answers' times."""
        if not self.latencies_ms:
            return 0.0
        return self.latencies_ms[
            min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))
        ]


async def burst(url: str, *, clients: int, seconds: float, seed: int) -> Burst:
    """Let so many clients pay for so long."""
    chance = random.Random(seed)  # noqa: S311
    counts = {True: 0, False: 0}
    latencies_ms: list[float] = []
    builder = ClientBuilder().no_proxy().timeout(_TIMEOUT).max_connections(clients)
    async with builder.build() as client:
        began = perf_counter()

        async def pay_on() -> None:
            while (sent := perf_counter()) - began < seconds:
                status = await _pay(client, url, chance)
                latencies_ms.append((perf_counter() - sent) * 1000)
                counts[status == 202] += 1

        await asyncio.gather(*(pay_on() for _ in range(clients)))
        took = perf_counter() - began
    return Burst(took, counts[True], counts[False], sorted(latencies_ms))


async def _pay(client: Client, url: str, chance: random.Random) -> int:
    body = (
        f'{{"correlationId":"{UUID(int=chance.getrandbits(128), version=4)}","amount":19.90,'
        f'"accountId":"account-{chance.randrange(_ACCOUNTS)}"}}'
    )
    request = client.post(f"{url}/payments").body_text(body)
    answer = await request.header("content-type", "application/json").build().send()
    return int(answer.status)
